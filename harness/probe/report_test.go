package probe

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/text"
)

// sample has every field of a report set.
func sample() *Report {
	three, four, one := int64(3), int64(4), int64(1)
	r := &Report{Prefix: "/micro/registry/", Revision: 7, ClusterID: "cdf8", Services: 2, Keys: 5, Reads: 6,
		Notes: []string{"a note of the whole"},
		Endpoints: []*Endpoint{
			{Endpoint: "m1:2379", Role: Member, How: "it refuses a read without a key as a member does", ClusterID: "cdf8",
				MemberID: "8e9e", Version: "3.7.3"},
			{Endpoint: "p1:23790", Role: Proxy, How: "it was said", Names: []string{"p1:23790"}, Leaks: true, Before: &three,
				After: &four, Filed: &one},
			{Endpoint: "p2:23790", Role: Proxy, How: "it was said", Frozen: true, Sent: 2, Healed: 1, Left: 1,
				Notes: []string{"a note"}},
			{Endpoint: "p3:23790", Role: Unknown, Error: "dial tcp: connect: connection refused"},
		},
		Entries: []*Entry{
			{Endpoint: "p1:23790", Calls: []string{"go-micro GetService", "etcdctl get --prefix"}, Service: "greeter",
				Key: "/micro/registry/greeter/", End: "/micro/registry/greeter0", Revision: 7, Count: 1, Source: Hit,
				Verdict: Fresh},
			{Endpoint: "p2:23790", Calls: []string{"register Register"}, Service: "greeter",
				Key: "/micro/registry/greeter/\xff\\", Revision: 5, Count: 1, Verdict: Ghost, Healed: true,
				Keys: []Difference{{Key: "/micro/registry/greeter/\xff\\", Is: Ghost, Answered: 4}}},
			{Endpoint: "p2:23790", Calls: []string{"mine get --from-key {prefix}"}, Key: "/micro/registry/", End: "\x00",
				Revision: 5, Count: 2, Verdict: Frozen, Why: "a compaction has passed through it", Help: "restart p2:23790",
				Keys: []Difference{{Key: "/k", Is: Hidden, Truth: 6}, {Key: "/l", Is: Changed, Answered: 4, Truth: 7}}},
		}}
	r.finish()
	return r
}

func TestTable(t *testing.T) {
	var b strings.Builder
	require.NoError(t, sample().Table(&b, text.Paint(false)))
	require.Equal(t, strings.TrimPrefix(`
cluster cdf8 has 5 keys under /micro/registry/ at revision 7; proxies were asked 6 reads about 2 services

+----------+---------+---------+-----+--------+
| ENDPOINT | ROLE    | ANSWERS | LIE | CACHED |
+----------+---------+---------+-----+--------+
| m1:2379  | member  | -       | -   | -      |
| p1:23790 | proxy   | 1       | 0   | 3→4    |
| p2:23790 | proxy   | 2       | 2   | -      |
| p3:23790 | unknown | -       | -   | -      |
+----------+---------+---------+-----+--------+
p1:23790: it answers anybody from its cache (22065)
p2:23790: a compaction has passed through it: it files nothing any more
p2:23790: 1 answer healed
p2:23790: a note
p3:23790: dial tcp: connect: connection refused

FROZEN  p2:23790
  mine get --from-key {prefix} /micro/registry/ and all behind it is told 2 keys, as of revision 5; etcd is at 7
  /k  hidden: etcd has it since revision 6
  /l  changed: answered as of revision 4, etcd has revision 7
  a compaction has passed through it
  restart p2:23790

GHOST healed  p2:23790
  register Register /micro/registry/greeter/\xff\\ is told 1 key, as of revision 5; etcd is at 7
  /micro/registry/greeter/\xff\\  ghost: answered as of revision 4, and etcd has it no more

a note of the whole
`, "\n"), b.String())
	b.Reset()
	require.NoError(t, sample().Simple(&b))
	require.Equal(t, strings.TrimPrefix(`
m1:2379, member, -, -, -
p1:23790, proxy, 1, 0, 3→4, it answers anybody from its cache (22065)
p2:23790, proxy, 2, 2, -, a compaction has passed through it: it files nothing any more, 1 answer healed, a note
p3:23790, unknown, -, -, -, dial tcp: connect: connection refused
p2:23790, frozen, /micro/registry/ and all behind it, 5, `+
		`/k  hidden: etcd has it since revision 6; `+
		`/l  changed: answered as of revision 4, etcd has revision 7; a compaction has passed through it; restart p2:23790
p2:23790, ghost healed, /micro/registry/greeter/\xff\\, 5, `+
		`/micro/registry/greeter/\xff\\  ghost: answered as of revision 4, and etcd has it no more
`, "\n"), b.String())
}

// The schema says of each field what it is, and nothing of a field that there is not; a report is what it says.
func TestSchema(t *testing.T) {
	var schema map[string]any
	require.NoError(t, json.Unmarshal(Schema, &schema))
	agrees(t, "report", schema, reflect.TypeFor[Report]())
	for _, r := range []*Report{sample(), {Notes: []string{}, Endpoints: []*Endpoint{}, Entries: []*Entry{},
		Counts: map[Verdict]int{}}} {
		var b strings.Builder
		require.NoError(t, r.JSON(&b))
		var doc any
		require.NoError(t, json.Unmarshal([]byte(b.String()), &doc))
		require.Empty(t, breaks("report", schema, doc))
	}
	var b strings.Builder
	require.NoError(t, sample().JSON(&b))
	for _, c := range [][2]string{{`"role":"member"`, `"role":"gateway"`}, {`"keys":5`, `"keys":"5"`},
		{`"reads":6`, `"red":6`}, {`"verdict":"ghost"`, `"verdict":"spook"`}, {`"frozen":1`, `"thawed":1`}} {
		var doc any
		broken := strings.Replace(b.String(), c[0], c[1], 1)
		require.NotEqual(t, b.String(), broken, c[0])
		require.NoError(t, json.Unmarshal([]byte(broken), &doc))
		require.NotEmpty(t, breaks("report", schema, doc), "%v was not noticed", c)
	}
	verdicts := schema["properties"].(map[string]any)["counts"].(map[string]any)["propertyNames"].(map[string]any)["enum"]
	var ours []any
	for _, v := range Verdicts() {
		ours = append(ours, string(v))
	}
	require.Equal(t, ours, verdicts)
}

// agrees compares an object's schema with the fields of its type.
func agrees(t *testing.T, at string, schema map[string]any, typ reflect.Type) {
	properties := schema["properties"].(map[string]any)
	required := schema["required"].([]any)
	require.Equal(t, false, schema["additionalProperties"], at)
	fields := 0
	for i := range typ.NumField() {
		name, options, tagged := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
		if name == "" {
			require.False(t, tagged || typ.Field(i).IsExported(), "%s.%s has no name", at, typ.Field(i).Name)
			continue
		}
		fields++
		property, said := properties[name].(map[string]any)
		require.True(t, said, "the schema says nothing of %s.%s", at, name)
		require.NotEmpty(t, property["description"], "%s.%s", at, name)
		require.Equal(t, options != "omitempty", slices.Contains(required, any(name)), "%s.%s is always there", at, name)
		of := typ.Field(i).Type
		for of.Kind() == reflect.Slice || of.Kind() == reflect.Pointer {
			of = of.Elem()
		}
		if of.Kind() == reflect.Struct {
			agrees(t, at+"."+name, property["items"].(map[string]any), of)
		}
	}
	require.Len(t, properties, fields, "the schema says more of %s than there is", at)
}

// breaks are the ways in which a document is not what a schema says, as far as the schema goes.
func breaks(at string, schema map[string]any, doc any) (all []string) {
	if enum, has := schema["enum"].([]any); has && !slices.Contains(enum, doc) {
		all = append(all, fmt.Sprintf("%s is %v", at, doc))
	}
	switch schema["type"] {
	case "object":
		object, ok := doc.(map[string]any)
		if !ok {
			return append(all, at+" is no object")
		}
		properties, _ := schema["properties"].(map[string]any)
		required, _ := schema["required"].([]any)
		for _, name := range required {
			if _, there := object[name.(string)]; !there {
				all = append(all, fmt.Sprintf("%s lacks %s", at, name))
			}
		}
		for name, value := range object {
			under := at + "." + name
			if names, has := schema["propertyNames"].(map[string]any); has {
				all = append(all, breaks(under, names, name)...)
			}
			if property, said := properties[name].(map[string]any); said {
				all = append(all, breaks(under, property, value)...)
			} else if others, said := schema["additionalProperties"].(map[string]any); said {
				all = append(all, breaks(under, others, value)...)
			} else {
				all = append(all, under+" is not known")
			}
		}
	case "array":
		items, ok := doc.([]any)
		if !ok {
			return append(all, at+" is no array")
		}
		for i, item := range items {
			all = append(all, breaks(fmt.Sprintf("%s[%d]", at, i), schema["items"].(map[string]any), item)...)
		}
	case "integer":
		if n, ok := doc.(float64); !ok || n != float64(int64(n)) {
			all = append(all, at+" is no integer")
		}
	case "string":
		if _, ok := doc.(string); !ok {
			all = append(all, at+" is no string")
		}
	case "boolean":
		if _, ok := doc.(bool); !ok {
			all = append(all, at+" is no boolean")
		}
	}
	return all
}

// A key is shown so that it can be told from any other, and typed again.
func TestKeys(t *testing.T) {
	for key, shown := range map[Key]string{"/a": "/a", "\xff": `\xff`, `\xff`: `\\xff`, "\x00": `\x00`, "é": "é",
		`"`:   `\"`,
		`"a"`: `\"a\"`} {
		require.Equal(t, shown, key.String())
		b, err := json.Marshal(key)
		require.NoError(t, err)
		var again string
		require.NoError(t, json.Unmarshal(b, &again))
		require.Equal(t, shown, again)
	}
}
