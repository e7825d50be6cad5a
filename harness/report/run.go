// Package report shows a run of scenarios against fixes: as a table for the terminal, as Markdown, as JSON, and as
// one page that needs no network, in which each cell opens its timeline. table.go lays the run out once; each writer
// prints that.
//
// It reads verdicts and histories and changes neither. Names, answers and log lines are text that instances chose:
// they are escaped everywhere, and the page's script never makes markup of them.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"ghostroute/harness/history"
	"ghostroute/harness/text"
	"ghostroute/harness/verdict"
)

// Schema is the version of Run's form. It changes when a field changes its meaning or goes, not when one is added.
const Schema = "ghostroute/report/3"

// Run is every scenario against every fix, once.
type Run struct {
	Schema    string        `json:"schema"` // Schema; a writer fills it in
	Title     string        `json:"title"`
	Etcd      string        `json:"etcd,omitempty"`     // version of etcd, "v3.7.3"
	GoMicro   string        `json:"go_micro,omitempty"` // version of go-micro
	Go        string        `json:"go,omitempty"`       // version of Go
	Took      time.Duration `json:"took,omitempty"`     // the whole run, in nanoseconds
	Shard     string        `json:"shard,omitempty"`    // "2/4": the cells are those of this part; "" is all of them
	Scenarios []Scenario    `json:"scenarios"`          // the rows, in their order; a theme's stand together
	Fixes     []Fix         `json:"fixes"`              // the columns, in their order
	Cells     []Cell        `json:"cells"`
}

// Scenario is what goes wrong.
type Scenario struct {
	Name  string `json:"name"` // as in `go test -run TestMatrix/<name>`: letters, digits and dashes
	Theme string `json:"theme"`
	Title string `json:"title"`
	Seen  string `json:"seen,omitempty"` // where it was seen: an issue, a pull request, the incident
	Text  string `json:"text,omitempty"` // what happens, in a sentence or two
}

// Fix is what claims to cure it.
type Fix struct {
	Name    string `json:"name"`
	Title   string `json:"title"`
	Source  string `json:"source,omitempty"`   // who proposed it, and where
	Claims  string `json:"claims,omitempty"`   // what it says it does
	GivesUp string `json:"gives_up,omitempty"` // what it takes away that the proxies were there for
	Costs   *Costs `json:"costs,omitempty"`    // nil where they were not measured
}

// Costs is what a fix costs, measured in the same run.
type Costs struct {
	ReadP50       time.Duration `json:"read_p50"`        // latency of a registry read, in nanoseconds
	ReadP99       time.Duration `json:"read_p99"`        // the same
	RangesPer1000 float64       `json:"ranges_per_1000"` // Range calls that reach etcd for 1,000 registry reads
	ProxyDeath    ProxyDeath    `json:"proxy_death"`
	MembersHidden bool          `json:"members_hidden"` // clients need not know the members: one can be replaced unnoticed
	Note          string        `json:"note,omitempty"`
}

// ProxyDeath is what gateways see when one proxy dies under load.
type ProxyDeath struct {
	Errors   int `json:"errors"`   // requests that failed
	Requests int `json:"requests"` // of so many; 0 where no proxy can die
	// from the death until requests succeed again, in nanoseconds; negative: never
	Recovery time.Duration `json:"recovery"`
}

// Cell is one scenario against one fix.
type Cell struct {
	Scenario string    `json:"scenario"`
	Fix      string    `json:"fix"`
	NA       string    `json:"na,omitempty"` // why the two make no sense together; then there are no readings
	Readings []Reading `json:"readings,omitempty"`
	Replay   string    `json:"replay,omitempty"` // the command that runs this cell alone
	// the readings that make no sense here, and why
	Without map[string]string `json:"without,omitempty"`
}

// Reading is a cell as one kind of gateway saw it.
type Reading struct {
	Name     string           `json:"name"`               // history.EachRequest or history.GoMicro
	Question verdict.Question `json:"question"`           // what was judged; Service is needed to know right answers
	Verdict  verdict.Verdict  `json:"verdict"`            //
	Expected string           `json:"expected,omitempty"` // the expected verdict's Label; "" where none is written down
	Events   []history.Event  `json:"-"`                  // what is drawn; a history is saved as a file of its own
	History  string           `json:"history,omitempty"`  // that file, where it was saved
	News     string           `json:"news,omitempty"`     // of a verdict that moved: what is told of it
	Again    []string         `json:"again,omitempty"`    // why it was tried again, once for each time
	Took     time.Duration    `json:"took,omitempty"`     // its last trial, in nanoseconds, beside others
}

// Labelled is a reading of which no more is known than its verdict's label, "stale ghost".
func Labelled(name, label string) Reading {
	outcome, symptom, _ := strings.Cut(label, " ")
	v := verdict.Verdict{Outcome: verdict.Outcome(outcome), Symptom: verdict.Symptom(symptom)}
	return Reading{Name: name, Verdict: v}
}

// Moved says whether the verdict is another than the expected one.
func (r Reading) Moved() bool { return r.Expected != "" && r.Expected != r.Verdict.Label() }

// Reading returns the reading of that name.
func (c Cell) Reading(name string) (Reading, bool) {
	for _, r := range c.Readings {
		if r.Name == name {
			return r, true
		}
	}
	return Reading{}, false
}

// named is what a name looks like: it stands in URL fragments, in commands and in tables, and needs escaping in none.
var named = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.+-]*$`)

// Check says what is wrong with a run: a name used twice, or a cell of nothing. Writers call it.
func (run Run) Check() error {
	var wrong []string
	if run.Schema != "" && run.Schema != Schema {
		return fmt.Errorf("the run is of schema %q, and this is %q", run.Schema, Schema)
	}
	scenarios, fixes := map[string]bool{}, map[string]bool{}
	name := func(kind, name string, seen map[string]bool) {
		if !named.MatchString(name) || seen[name] {
			wrong = append(wrong, fmt.Sprintf("%s %q: names are letters, digits and dashes, and each is there once", kind, name))
		}
		seen[name] = true
	}
	for _, s := range run.Scenarios {
		name("scenario", s.Name, scenarios)
	}
	for _, f := range run.Fixes {
		name("fix", f.Name, fixes)
	}
	cells := map[[2]string]bool{}
	for _, c := range run.Cells {
		at := [2]string{c.Scenario, c.Fix}
		switch {
		case !scenarios[c.Scenario] || !fixes[c.Fix]:
			wrong = append(wrong, fmt.Sprintf("cell %s/%s: there is no such scenario or fix", c.Scenario, c.Fix))
		case cells[at]:
			wrong = append(wrong, fmt.Sprintf("cell %s/%s is there twice", c.Scenario, c.Fix))
		case c.NA != "" && len(c.Readings) > 0:
			wrong = append(wrong, fmt.Sprintf("cell %s/%s was read, and is said not to apply: %s", c.Scenario, c.Fix, c.NA))
		}
		cells[at] = true
		for i, r := range c.Readings {
			if !slices.Contains(readings[:], r.Name) || i > 0 && r.Name == c.Readings[i-1].Name {
				wrong = append(wrong, fmt.Sprintf("cell %s/%s, reading %q: it may be %s, once each",
					c.Scenario, c.Fix, r.Name, text.Or(readings[:])))
			}
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("the run is not well formed: %s", strings.Join(wrong, "; "))
	}
	return nil
}

// about is what was run, in a line.
func (run Run) about() string {
	parts := []string{fmt.Sprintf("%d scenarios × %d fixes", len(run.Scenarios), len(run.Fixes))}
	for _, v := range [...]struct{ what, version string }{{"etcd ", run.Etcd}, {"go-micro ", run.GoMicro}, {"", run.Go}} {
		if v.version != "" {
			parts = append(parts, v.what+v.version)
		}
	}
	if run.Took > 0 {
		parts = append(parts, run.Took.Round(100*time.Millisecond).String())
	}
	return strings.Join(parts, " · ")
}

// JSON writes the run without its histories: verdicts, evidence, costs.
func JSON(w io.Writer, run Run) error {
	if err := run.Check(); err != nil {
		return err
	}
	run.Schema = Schema
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	return enc.Encode(run)
}
