package probe

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/proto"

	"ghostroute/harness/keys"
)

// Line is a request as one would type it for etcdctl, which ParseLine reads again. What etcdctl has no flag for is
// written in the same way. A serializable one says so.
func Line(r *pb.RangeRequest) string {
	words := []string{"get"}
	flag := func(on bool, word string, value any) {
		if on {
			words = append(words, word+fmt.Sprint(value))
		}
	}
	flag(r.Serializable, "--consistency=s", "")
	flag(r.KeysOnly, "--keys-only", "")
	flag(r.CountOnly, "--count-only", "")
	flag(r.Limit != 0, "--limit=", r.Limit)
	flag(r.SortOrder != 0, "--order=", r.SortOrder)
	flag(r.SortTarget != 0, "--sort-by=", r.SortTarget)
	flag(r.Revision != 0, "--rev=", r.Revision)
	flag(r.MinModRevision != 0, "--min-mod-rev=", r.MinModRevision)
	flag(r.MaxModRevision != 0, "--max-mod-rev=", r.MaxModRevision)
	flag(r.MinCreateRevision != 0, "--min-create-rev=", r.MinCreateRevision)
	flag(r.MaxCreateRevision != 0, "--max-create-rev=", r.MaxCreateRevision)
	key, end := string(r.Key), string(r.RangeEnd)
	switch end {
	case "":
		end = ""
	case keys.FromKey:
		end, words = "", append(words, "--from-key")
	case keys.PrefixEnd(key):
		end, words = "", append(words, "--prefix")
	}
	words = append(words, literal(key))
	if end != "" {
		words = append(words, literal(end))
	}
	return strings.Join(words, " ")
}

// literal is a key as a line has it: in quotes where it would be taken for something else.
func literal(key string) string {
	odd := func(r rune) bool { return !unicode.IsPrint(r) || strings.ContainsRune(" \"\\{}", r) }
	if key == "" || strings.HasPrefix(key, "-") || strings.ContainsFunc(key, odd) {
		return strconv.Quote(key)
	}
	return key
}

// ParseForm reads a form of one's own: a request a line, as one would type it for etcdctl, with {prefix}, {service} or
// {key} for each of these; a service is its whole prefix. A key in quotes is taken as Go takes it: "\xff". Lines that
// begin with # say nothing.
//
//	get --prefix --keys-only {service}
//	get --limit=10 --sort-by=MOD --order=DESCEND --prefix /routes/
func ParseForm(name, lines string) (Form, error) {
	f := Form{Name: name}
	for i, line := range strings.Split(lines, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		c, err := parseCall(line)
		if err != nil {
			return f, fmt.Errorf("%s, line %d: %w", name, i+1, err)
		}
		f.calls = append(f.calls, c)
	}
	if len(f.calls) == 0 {
		return f, fmt.Errorf("%s asks for nothing", name)
	}
	return f, nil
}

// ParseLine reads a line that names no {prefix}, {service} or {key}, as Line writes it.
func ParseLine(line string) (*pb.RangeRequest, error) {
	l, err := parseLine(line)
	if err != nil {
		return nil, err
	}
	return l.request(""), nil
}

func parseCall(line string) (call, error) {
	l, err := parseLine(line)
	if err != nil {
		return call{}, err
	}
	c := call{name: line, per: l.per, of: func(each string) *pb.RangeRequest {
		r := l.request(each)
		r.Serializable = true // what is read linearizably is filed so, too
		return r
	}}
	if l.r.Revision != 0 {
		return c, fmt.Errorf("%q names a revision: what was true then is so for ever", line)
	}
	return c, nil
}

// aLine is a line that was read.
type aLine struct {
	r            pb.RangeRequest
	per          string // see call
	key, end     string
	named        bool // they name what the request is made for
	prefix, from bool
}

// request is the line's request, for one prefix, service or key.
func (l *aLine) request(each string) *pb.RangeRequest {
	r := proto.Clone(&l.r).(*pb.RangeRequest)
	key, end := l.key, l.end
	if l.named {
		fill := strings.NewReplacer("{service}", each, "{key}", each, "{prefix}", each).Replace
		key, end = fill(key), fill(end)
	}
	r.Key = []byte(key)
	switch {
	case l.prefix:
		r.RangeEnd = []byte(keys.PrefixEnd(key))
	case l.from:
		r.RangeEnd = []byte(keys.FromKey)
	case end != "":
		r.RangeEnd = []byte(end)
	}
	return r
}

func parseLine(line string) (*aLine, error) {
	words, quoted, err := split(line)
	if err != nil {
		return nil, err
	}
	if words[0] != "get" {
		return nil, fmt.Errorf("%q is no read: say get, and what etcdctl get takes", line)
	}
	l := &aLine{}
	numbers := map[string]*int64{"--limit": &l.r.Limit, "--rev": &l.r.Revision, "--min-mod-rev": &l.r.MinModRevision,
		"--max-mod-rev": &l.r.MaxModRevision, "--min-create-rev": &l.r.MinCreateRevision,
		"--max-create-rev": &l.r.MaxCreateRevision}
	flags := map[string]*bool{"--prefix": &l.prefix, "--from-key": &l.from, "--keys-only": &l.r.KeysOnly,
		"--count-only": &l.r.CountOnly}
	var at []int // the words that are keys
	for i, w := range words[1:] {
		flag, value, _ := strings.Cut(w, "=")
		ok := true
		switch {
		case quoted[i+1] || !strings.HasPrefix(w, "-"):
			at = append(at, i+1)
		case flags[w] != nil:
			*flags[w] = true
		case numbers[flag] != nil:
			*numbers[flag], err = strconv.ParseInt(value, 10, 64)
			ok = err == nil && *numbers[flag] >= 0
		case flag == "--consistency":
			l.r.Serializable = value == "s"
			ok = value == "s" || value == "l"
		case flag == "--order":
			var n int32
			n, ok = pb.RangeRequest_SortOrder_value[strings.ToUpper(value)]
			l.r.SortOrder = pb.RangeRequest_SortOrder(n)
		case flag == "--sort-by":
			var n int32
			n, ok = pb.RangeRequest_SortTarget_value[strings.Replace(strings.ToUpper(value), "MODIFY", "MOD", 1)]
			l.r.SortTarget = pb.RangeRequest_SortTarget(n)
		default:
			ok = false
		}
		if !ok {
			return nil, fmt.Errorf("%q is nothing that etcdctl get takes", w)
		}
	}
	if l.r.SortTarget == pb.RangeRequest_KEY && l.r.SortOrder == pb.RangeRequest_ASCEND {
		l.r.SortOrder = pb.RangeRequest_NONE // clientv3's WithSort does so
	}
	if len(at) == 0 || len(at) > 2 || (l.prefix || l.from) && len(at) == 2 || l.prefix && l.from {
		return nil, fmt.Errorf("%q names no range: say a key, a key and an end, --prefix or --from-key", line)
	}
	if l.key = words[at[0]]; l.key == "" {
		return nil, fmt.Errorf("%q names no key: etcd refuses an empty one", line)
	}
	if len(at) == 2 {
		l.end = words[at[1]]
	}
	if !quoted[at[0]] {
		if i := slices.IndexFunc([]string{"{service}", "{key}", "{prefix}"}, func(per string) bool {
			return strings.Contains(l.key, per)
		}); i >= 0 {
			l.per, l.named = []string{"service", "key", ""}[i], true
		}
	}
	return l, nil
}

// split takes a line apart at its spaces; what is in quotes is one word, and is what it says.
func split(line string) (words []string, quoted []bool, err error) {
	for rest := strings.TrimSpace(line); rest != ""; rest = strings.TrimSpace(rest) {
		if rest[0] != '"' {
			word, _, _ := strings.Cut(rest, " ")
			words, quoted, rest = append(words, word), append(quoted, false), rest[len(word):]
			continue
		}
		prefix, err := strconv.QuotedPrefix(rest)
		if err != nil {
			return nil, nil, fmt.Errorf("%s has quotes that do not end", rest)
		}
		word, err := strconv.Unquote(prefix)
		if err != nil {
			return nil, nil, err
		}
		words, quoted, rest = append(words, word), append(quoted, true), rest[len(prefix):]
	}
	if len(words) == 0 {
		return nil, nil, fmt.Errorf("there is nothing in the line")
	}
	return words, quoted, nil
}
