package probe

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"ghostroute/harness/keys"
	"ghostroute/harness/text"
)

// Schema is the JSON schema of a report.
//
//go:embed schema.json
var Schema []byte

// Key is a key of etcd's as it is shown: what is no printable text is escaped as in Go, "\xff", and so is a backslash.
type Key string

// String is the key as it is shown.
func (k Key) String() string {
	quoted := strconv.Quote(string(k))
	return quoted[1 : len(quoted)-1]
}

// MarshalJSON writes it as it is shown.
func (k Key) MarshalJSON() ([]byte, error) { return json.Marshal(k.String()) }

// Where an answer came from.
const (
	Hit  = "hit"  // from the proxy's cache
	Miss = "miss" // from a member: the read filed it
)

// Report is what one run found.
type Report struct {
	Prefix    Key             `json:"prefix"`
	Revision  int64           `json:"revision"`  // truth's, as it was read before any proxy was asked; 0 where it was not
	ClusterID string          `json:"clusterID"` // of the members, in hexadecimal as etcdctl shows it
	Services  int             `json:"services"`  // that were asked for, those among them that are gone
	Keys      int             `json:"keys"`      // that truth has under the prefix
	Reads     int             `json:"reads"`     // that were made at proxies
	Counts    map[Verdict]int `json:"counts"`    // of entries by verdict
	Notes     []string        `json:"notes"`
	Endpoints []*Endpoint     `json:"endpoints"`
	Entries   []*Entry        `json:"entries"` // what proxies answered, the worst first
}

// Endpoint is a member or a proxy.
type Endpoint struct {
	Endpoint  string   `json:"endpoint"`
	Role      Role     `json:"role"`
	How       string   `json:"how"`             // by what it was known for what it is
	Error     string   `json:"error,omitempty"` // why it was not reached, or not asked
	ClusterID string   `json:"clusterID,omitempty"`
	MemberID  string   `json:"memberID,omitempty"` // of a member
	Version   string   `json:"version,omitempty"`  // of a member: a proxy tells its member's
	Names     []string `json:"names,omitempty"`    // of a proxy: what its member list names instead of members
	Frozen    bool     `json:"frozen,omitempty"`   // of a proxy: a compaction has passed through it
	Leaks     bool     `json:"leaks,omitempty"`    // of a proxy: it gave an answer to a token that nobody gave out

	Answers int      `json:"answers"` // that it gave
	Lies    int      `json:"lies"`    // that are not fresh
	Before  *int64   `json:"before,omitempty"`
	After   *int64   `json:"after,omitempty"` // answers in its cache before and after, by its metrics
	Sent    int      `json:"sent"`            // transactions without an operation, by --heal and --leave-no-trace
	Healed  int      `json:"healed"`          // answers that lied and do no more
	Left    int      `json:"left"`            // answers that reads filed and --leave-no-trace could not take out
	Filed   *int64   `json:"filed,omitempty"` // misses while it was asked, by its metrics: others' reads count too
	Notes   []string `json:"notes,omitempty"`
}

// Note adds a sentence about an endpoint.
func (e *Endpoint) Note(format string, args ...any) {
	e.Notes = append(e.Notes, fmt.Sprintf(format, args...))
}

// Entry is one answer of one proxy.
type Entry struct {
	Endpoint string       `json:"endpoint"`
	Calls    []string     `json:"calls"` // whose clients send this request: "go-micro GetService"
	Service  string       `json:"service,omitempty"`
	Key      Key          `json:"key"`
	End      Key          `json:"rangeEnd,omitempty"`
	Revision int64        `json:"revision"` // that the answer says it was true at
	Count    int64        `json:"count"`    // of keys, by the answer
	Source   string       `json:"source,omitempty"`
	Verdict  Verdict      `json:"verdict"`
	Why      string       `json:"why,omitempty"`
	Keys     []Difference `json:"keys,omitempty"`
	Healed   bool         `json:"healed,omitempty"`
	Help     string       `json:"help,omitempty"` // what heals it where --heal did not

	ask ask
}

// Lies is how many answers are not fresh and were not healed.
func (r *Report) Lies() (n int) {
	for _, e := range r.Entries {
		if e.Verdict != Fresh && !e.Healed {
			n++
		}
	}
	return n
}

// Missed are the endpoints that were not reached, or not asked.
func (r *Report) Missed() (addrs []string) {
	for _, e := range r.Endpoints {
		if e.Error != "" {
			addrs = append(addrs, e.Endpoint)
		}
	}
	return addrs
}

// finish counts, and puts the worst first.
func (r *Report) finish() {
	rows := map[string]*Endpoint{}
	for _, e := range r.Endpoints {
		rows[e.Endpoint] = e
	}
	r.Counts = map[Verdict]int{}
	for _, e := range r.Entries {
		r.Counts[e.Verdict]++
		rows[e.Endpoint].Answers++
		if e.Verdict != Fresh {
			rows[e.Endpoint].Lies++
		}
	}
	order := Verdicts()
	slices.SortStableFunc(r.Entries, func(a, b *Entry) int {
		if v := slices.Index(order, a.Verdict) - slices.Index(order, b.Verdict); v != 0 {
			return v
		}
		if c := strings.Compare(a.Endpoint, b.Endpoint); c != 0 {
			return c
		}
		if c := strings.Compare(string(a.Key), string(b.Key)); c != 0 {
			return c
		}
		return strings.Compare(strings.Join(a.Calls, ","), strings.Join(b.Calls, ","))
	})
}

// JSON writes the report as one line, as Schema says.
func (r *Report) JSON(w io.Writer) error { return json.NewEncoder(w).Encode(r) }

// head is a report's first line.
func (r *Report) head() string {
	return fmt.Sprintf("%s has %s under %s at revision %d; proxies were asked %s about %s", "cluster "+r.ClusterID,
		text.Count(r.Keys, "key"), r.Prefix, r.Revision, text.Count(r.Reads, "read"), text.Count(r.Services, "service"))
}

// Simple writes the report as etcdctl writes its simple ones: an endpoint a line, and a lie a line.
func (r *Report) Simple(w io.Writer) error {
	var b strings.Builder
	for _, e := range r.Endpoints {
		fmt.Fprintf(&b, "%s\n", strings.Join(append(e.cells(), e.said()...), ", "))
	}
	for _, e := range r.Entries {
		if e.Verdict != Fresh {
			state := string(e.Verdict)
			if e.Healed {
				state += " healed"
			}
			fmt.Fprintf(&b, "%s, %s, %s, %d, %s\n", e.Endpoint, state, e.span(), e.Revision, strings.Join(e.said(), "; "))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Table writes the report for a person.
func (r *Report) Table(w io.Writer, paint text.Paint) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", r.head())
	rows := [][]string{{"ENDPOINT", "ROLE", "ANSWERS", "LIE", "CACHED"}}
	for _, e := range r.Endpoints {
		rows = append(rows, e.cells())
	}
	writeTable(&b, rows, paint)
	for _, e := range r.Endpoints {
		for _, sentence := range e.said() {
			fmt.Fprintf(&b, "%s: %s\n", e.Endpoint, sentence)
		}
	}
	for _, e := range r.Entries {
		if e.Verdict == Fresh {
			continue
		}
		state := paint.In(text.BoldRed, strings.ToUpper(string(e.Verdict)))
		if e.Healed {
			state += " " + paint.In(text.Green, "healed")
		}
		fmt.Fprintf(&b, "\n%s  %s\n  %s, as of revision %d; etcd is at %d\n", state, e.Endpoint, e.asked(), e.Revision,
			r.Revision)
		for _, line := range e.said() {
			fmt.Fprintf(&b, "  %s\n", line)
		}
	}
	if len(r.Notes) > 0 {
		b.WriteString("\n")
	}
	for _, note := range r.Notes {
		fmt.Fprintf(&b, "%s\n", note)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// cells are an endpoint's columns.
func (e *Endpoint) cells() []string {
	cached := "-"
	if e.Before != nil {
		cached = strconv.FormatInt(*e.Before, 10)
		if e.After != nil && *e.After != *e.Before {
			cached += "→" + strconv.FormatInt(*e.After, 10)
		}
	}
	answers, lie := strconv.Itoa(e.Answers), strconv.Itoa(e.Lies)
	if e.Role != Proxy {
		answers, lie = "-", "-"
	}
	return []string{e.Endpoint, string(e.Role), answers, lie, cached}
}

// said is what else there is to say of an endpoint.
func (e *Endpoint) said() (says []string) {
	if e.Error != "" {
		says = append(says, e.Error)
	}
	if e.Leaks {
		says = append(says, "it answers anybody from its cache (22065)")
	}
	if e.Frozen {
		says = append(says, "a compaction has passed through it: it files nothing any more")
	}
	if e.Healed > 0 {
		says = append(says, text.Count(e.Healed, "answer")+" healed")
	}
	return append(says, e.Notes...)
}

// span is an entry's range.
func (e *Entry) span() string {
	switch string(e.End) {
	case "":
		return e.Key.String()
	case keys.FromKey:
		return e.Key.String() + " and all behind it"
	}
	return fmt.Sprintf("[%s, %s)", e.Key, e.End)
}

// asked is whose request it is.
func (e *Entry) asked() string {
	return fmt.Sprintf("%s %s is told %s", strings.Join(e.Calls, ", "), e.span(), text.Count(int(e.Count), "key"))
}

// said is what there is to say of an entry, a sentence a line.
func (e *Entry) said() (lines []string) {
	for _, d := range e.Keys {
		lines = append(lines, d.String())
	}
	if e.Why != "" {
		lines = append(lines, e.Why)
	}
	if e.Help != "" {
		lines = append(lines, e.Help)
	}
	return lines
}

// writeTable draws rows as etcdctl's -w table does.
func writeTable(b *strings.Builder, rows [][]string, paint text.Paint) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	line := "+"
	for _, w := range widths {
		line += strings.Repeat("-", w+2) + "+"
	}
	for i, row := range rows {
		if i < 2 {
			b.WriteString(line + "\n")
		}
		for j, cell := range row {
			pad := strings.Repeat(" ", widths[j]-len([]rune(cell)))
			if rows[0][j] == "LIE" && i > 0 && cell != "0" && cell != "-" {
				cell = paint.In(text.BoldRed, cell)
			}
			b.WriteString("| " + cell + pad + " ")
		}
		b.WriteString("|\n")
	}
	b.WriteString(line + "\n")
}
