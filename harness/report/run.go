// Package report lays a run of scenarios against fixes before a reader: as a table for the terminal, as Markdown, as JSON for a
// machine, and as one page that needs no network, in which every cell opens its timeline.
//
// It reads verdicts and histories and changes neither. Names, answers and log lines are text that instances chose: they are
// escaped everywhere, and the page's script never makes markup of them.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"ghostroute/harness/history"
	"ghostroute/harness/verdict"
)

// Schema is the version of Run's form. It changes when a field changes its meaning or goes, not when one is added.
const Schema = "ghostroute/report/1"

// The two readings of a cell.
const (
	EachRequest = "each-request" // by gateways that resolve on every request: is the proxy cured?
	GoMicro     = "go-micro"     // by go-micro's own gateway, with its cache and its watch: are the users cured?
)

// Run is every scenario against every fix, once.
type Run struct {
	Schema    string        `json:"schema"` // Schema; a writer fills it in
	Title     string        `json:"title"`
	Etcd      string        `json:"etcd,omitempty"`     // version of etcd, "v3.7.3"
	GoMicro   string        `json:"go_micro,omitempty"` // version of go-micro
	Go        string        `json:"go,omitempty"`       // version of Go
	Took      time.Duration `json:"took,omitempty"`     // the whole run, in nanoseconds
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
	MembersHidden bool          `json:"members_hidden"` // clients need not know the members: one can be added or removed unnoticed
	Note          string        `json:"note,omitempty"`
}

// ProxyDeath is what gateways see when one proxy dies under load.
type ProxyDeath struct {
	Errors   int           `json:"errors"`   // requests that failed
	Requests int           `json:"requests"` // of so many; 0 where no proxy can die
	Recovery time.Duration `json:"recovery"` // from the death until requests succeeded for good, in nanoseconds; negative: never
}

// Cell is one scenario against one fix.
type Cell struct {
	Scenario string    `json:"scenario"`
	Fix      string    `json:"fix"`
	NA       string    `json:"na,omitempty"` // why the two make no sense together; then there are no readings
	Readings []Reading `json:"readings,omitempty"`
	Replay   string    `json:"replay,omitempty"` // the command that runs this cell alone
}

// Reading is a cell as one kind of gateway saw it.
type Reading struct {
	Name     string           `json:"name"`               // EachRequest or GoMicro
	Question verdict.Question `json:"question"`           // what was judged; its Service is needed to tell right answers from wrong ones
	Verdict  verdict.Verdict  `json:"verdict"`            //
	Expected string           `json:"expected,omitempty"` // the expected verdict's Label; "" where none is written down
	Events   []history.Event  `json:"events,omitempty"`
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

// Moved says whether a reading of the cell is another than expected.
func (c Cell) Moved() bool {
	for _, r := range c.Readings {
		if r.Moved() {
			return true
		}
	}
	return false
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
			if r.Name != EachRequest && r.Name != GoMicro || i > 0 && r.Name == c.Readings[i-1].Name {
				wrong = append(wrong, fmt.Sprintf("cell %s/%s, reading %q: it may be %s or %s, once each", c.Scenario, c.Fix, r.Name, EachRequest, GoMicro))
			}
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("the run is not well formed: %s", strings.Join(wrong, "; "))
	}
	return nil
}

// cell finds a cell; ok is false where it was not run.
func (run Run) cell() func(scenario, fix string) (Cell, bool) {
	cells := map[[2]string]Cell{}
	for _, c := range run.Cells {
		cells[[2]string{c.Scenario, c.Fix}] = c
	}
	return func(scenario, fix string) (Cell, bool) {
		c, ok := cells[[2]string{scenario, fix}]
		return c, ok
	}
}

// theme is the scenarios that stand together.
type theme struct {
	Name      string
	Scenarios []Scenario
}

func (run Run) themes() []theme {
	var all []theme
	for _, s := range run.Scenarios {
		if len(all) == 0 || all[len(all)-1].Name != s.Theme {
			all = append(all, theme{Name: s.Theme})
		}
		last := &all[len(all)-1]
		last.Scenarios = append(last.Scenarios, s)
	}
	return all
}

// JSON writes the run, whole, with its histories.
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

// ReadJSON reads what JSON wrote. Another schema is an error.
func ReadJSON(r io.Reader) (Run, error) {
	var run Run
	if err := json.NewDecoder(r).Decode(&run); err != nil {
		return Run{}, fmt.Errorf("this is no run: %w", err)
	}
	if run.Schema != Schema {
		return Run{}, fmt.Errorf("the run is of schema %q, and this is %q", run.Schema, Schema)
	}
	return run, run.Check()
}
