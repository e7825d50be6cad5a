package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"ghostroute/harness/history"
	"ghostroute/harness/text"
	"ghostroute/harness/verdict"
)

// table is a run laid out, scenarios in rows and fixes in columns: all that a writer prints. Page, terminal and
// Markdown only decide how it looks.
type table struct {
	Columns []column
	Themes  []theme
	Moved   []move
}

// column is a fix, with what it came to.
type column struct {
	Fix
	Number         int
	Both           tally    // of cells, by the worse of their two readings
	Proxies, Users tally    // of each-request's readings, and of go-micro's
	Costs          []string // one for each of costColumns; none where they were not measured
}

// theme is the rows that stand together.
type theme struct {
	Name string
	Rows []row
}

type row struct {
	Scenario
	Squares []square // one for each column
}

// square is a cell as it is shown.
type square struct {
	Key    string // "scenario/fix"
	Label  string // the verdicts and their sentences, for a screen reader and as a tooltip
	Ran    bool
	NA     bool
	Moved  bool
	Halves []half // each-request's and go-micro's, where it applies
}

// half is one reading's part of a square. One that was not made has no outcome.
type half struct{ Reading, Outcome, Letter, Symptom string }

// move is a reading that is not as expected.
type move struct{ Key, Text string }

// readings are the two ways in which a cell is read, in their order.
var readings = [...]string{history.EachRequest, history.GoMicro}

// outcomes are the verdicts from the best to the worst.
var outcomes = []verdict.Outcome{verdict.Fresh, verdict.Heals, verdict.Unknown, verdict.Stale}

// table lays the run out. A run that is not well formed is an error.
func (run Run) table() (table, error) {
	var t table
	if err := run.Check(); err != nil {
		return t, err
	}
	cells := map[[2]string]Cell{}
	for _, c := range run.Cells {
		cells[[2]string{c.Scenario, c.Fix}] = c
	}
	for i, f := range run.Fixes {
		f.Title = cmp.Or(f.Title, f.Name)
		c := column{Fix: f, Number: i + 1, Both: tally{}, Proxies: tally{}, Users: tally{}}
		if f.Costs != nil {
			for _, cost := range costColumns {
				c.Costs = append(c.Costs, cost.Value(f.Costs))
			}
		}
		t.Columns = append(t.Columns, c)
	}
	for _, s := range run.Scenarios {
		s.Title = cmp.Or(s.Title, s.Name)
		r := row{Scenario: s}
		for _, f := range t.Columns {
			c, ran := cells[[2]string{s.Name, f.Name}]
			r.Squares = append(r.Squares, c.square(ran, s, f.Fix))
			t.Moved = append(t.Moved, c.moves()...)
			f.count(c)
		}
		if n := len(t.Themes); n == 0 || t.Themes[n-1].Name != s.Theme {
			t.Themes = append(t.Themes, theme{Name: s.Theme})
		}
		last := &t.Themes[len(t.Themes)-1]
		last.Rows = append(last.Rows, r)
	}
	return t, nil
}

func (c Cell) square(ran bool, s Scenario, f Fix) square {
	q := square{Key: s.Name + "/" + f.Name, Ran: ran, NA: c.NA != ""}
	said := []string{s.Title + ", with " + f.Title + "."}
	switch {
	case !ran:
		said = append(said, "Not run.")
	case q.NA:
		said = append(said, "Not applicable: "+c.NA+".")
	}
	for _, name := range readings {
		h := half{Reading: name, Letter: "·"}
		if r, ok := c.Reading(name); ok {
			v := r.Verdict
			h.Outcome, h.Letter, h.Symptom = string(v.Outcome), letter(v.Outcome), symptom(v.Symptom)
			s := fmt.Sprintf("%s: %s", name, v.Label())
			if r.Moved() {
				q.Moved = true
				s += ", expected " + r.Expected
			}
			said = append(said, s+". "+v.Why+".")
		}
		q.Halves = append(q.Halves, h)
	}
	if !ran || q.NA {
		q.Halves = nil
	}
	q.Label = strings.Join(said, " ")
	return q
}

func (c Cell) moves() []move {
	var all []move
	for _, r := range c.Readings {
		if r.Moved() {
			all = append(all, move{fmt.Sprintf("%s/%s/%s", c.Scenario, c.Fix, r.Name),
				fmt.Sprintf("expected %s, got %s", r.Expected, r.Verdict)})
		}
	}
	return all
}

// count adds a cell to the column's tallies.
func (c column) count(cell Cell) {
	worst := -1
	for _, r := range cell.Readings {
		o := cmp.Or(r.Verdict.Outcome, verdict.Unknown)
		worst = max(worst, slices.Index(outcomes, o))
		if r.Name == history.EachRequest {
			c.Proxies[o]++
		} else {
			c.Users[o]++
		}
	}
	if worst >= 0 {
		c.Both[outcomes[worst]]++
	}
}

// letter stands for an outcome where there is no room for the word, symptom for a symptom.
func letter(o verdict.Outcome) string { return strings.ToUpper(string(cmp.Or(o, verdict.Unknown)[0])) }

func symptom(s verdict.Symptom) string { return string(s[:min(len(s), 1)]) }

// code is a square in three letters: each-request's outcome, go-micro's, and the symptom, "+" where they differ in it.
func (q square) code() string {
	if q.NA {
		return "-"
	}
	code, symptom := "", ""
	for _, h := range q.Halves {
		code += strings.Replace(h.Letter, "·", ".", 1)
		if symptom != "" && h.Symptom != "" && h.Symptom != symptom {
			symptom = "+"
		} else if symptom == "" {
			symptom = h.Symptom
		}
	}
	return code + symptom
}

// pair is a square in two letters a reading: "Sg/F".
func (q square) pair() string {
	both := text.Each(q.Halves, func(h half) string { return strings.Replace(h.Letter, "·", "–", 1) + h.Symptom })
	return cmp.Or(strings.Join(both, "/"), map[bool]string{true: "–"}[q.NA])
}

// tally counts verdicts.
type tally map[verdict.Outcome]int

// Total is of how many.
func (t tally) Total() int {
	n := 0
	for _, o := range outcomes {
		n += t[o]
	}
	return n
}

// Fresh is how many of them are fresh: "27/36".
func (t tally) Fresh() string { return fmt.Sprintf("%d/%d", t[verdict.Fresh], t.Total()) }

// String has all of them: "27 F, 9 S".
func (t tally) String() string {
	var s []string
	for _, o := range outcomes {
		if t[o] > 0 {
			s = append(s, fmt.Sprintf("%d %s", t[o], letter(o)))
		}
	}
	return strings.Join(s, ", ")
}

// legend explains the letters. Class is how the page shows one.
var legend = []struct{ Letter, Word, Text, Class string }{
	{"F", "fresh", "no answer after the change disagreed with truth", "half fresh"},
	{"H", "heals", "some did, and every gateway agreed before patience ended", "half heals"},
	{"S", "stale", "some disagreed to the end, and provenance says why it stays so", "half stale"},
	{"U", "unknown", "a premise failed, or nothing explains what was seen", "half unknown"},
	{"–", "n/a", "does not apply: not to this fix, or not by this reading", "half na"},
	{"g", "ghost", "answered, but gone", "sym"},
	{"h", "hidden", "there, but not answered", "sym"},
	{"l", "leak", "answered to a user who may not read it", "sym"},
	{"!", "moved", "not as expected", "flag"},
}
