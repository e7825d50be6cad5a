package report

import (
	"fmt"
	"strings"
	"time"

	"ghostroute/harness/verdict"
)

// letter stands for an outcome where there is no room for the word.
func letter(o verdict.Outcome) string {
	switch o {
	case verdict.Fresh:
		return "F"
	case verdict.Heals:
		return "H"
	case verdict.Stale:
		return "S"
	default:
		return "U"
	}
}

// symptomLetter stands for a symptom.
func symptomLetter(s verdict.Symptom) string {
	if s == verdict.None {
		return ""
	}
	return string(s[0]) // g, h, l
}

// code is a cell in three letters: each-request's outcome, go-micro's, and the symptom; "+" where they differ in it. A reading
// that was not made is ".".
func (c Cell) code() string {
	if c.NA != "" {
		return "-"
	}
	code, symptom := "", ""
	for _, name := range [...]string{EachRequest, GoMicro} {
		r, ok := c.Reading(name)
		if !ok {
			code += "."
			continue
		}
		code += letter(r.Verdict.Outcome)
		switch s := symptomLetter(r.Verdict.Symptom); {
		case symptom == "":
			symptom = s
		case s != "" && s != symptom:
			symptom = "+"
		}
	}
	return code + symptom
}

// legend explains the letters, one line each.
func legend() []string {
	return []string{
		"F fresh    no answer after the change disagreed with truth",
		"H heals    some did, and every gateway agreed before patience ended",
		"S stale    some gateway disagreed to the end, and provenance says why it stays so",
		"U unknown  a premise failed, or nothing explains what was seen",
		"-          the scenario and the fix make no sense together; the page says why",
		"First letter: gateways that resolve on each request. Second: go-micro's own gateway, with its cache and watch.",
		"g ghost: answered, but gone   h hidden: there, not answered   l leak: answered to who is denied it   + one of each",
		"! not as expected",
	}
}

// tally counts the verdicts of a column: over cells, by the worse of the two readings.
type tally struct {
	Fresh, Heals, Stale, Unknown, NA int
}

func (t tally) applies() int { return t.Fresh + t.Heals + t.Stale + t.Unknown }

func (t *tally) add(c Cell) {
	if c.NA != "" {
		t.NA++
		return
	}
	switch c.worst() {
	case verdict.Fresh:
		t.Fresh++
	case verdict.Heals:
		t.Heals++
	case verdict.Stale:
		t.Stale++
	case verdict.Unknown:
		t.Unknown++
	}
}

// worst is the worse of a cell's outcomes: stale, then unknown, heals, fresh; "" where it has none.
func (c Cell) worst() verdict.Outcome {
	rank := map[verdict.Outcome]int{"": 0, verdict.Fresh: 1, verdict.Heals: 2, verdict.Unknown: 3, verdict.Stale: 4}
	w := verdict.Outcome("")
	for _, r := range c.Readings {
		if rank[r.Verdict.Outcome] > rank[w] {
			w = r.Verdict.Outcome
		}
	}
	return w
}

func (run Run) tallies() map[string]tally {
	all := map[string]tally{}
	for _, c := range run.Cells {
		t := all[c.Fix]
		t.add(c)
		all[c.Fix] = t
	}
	return all
}

// about is what was run, in a line.
func (run Run) about() string {
	parts := []string{fmt.Sprintf("%d scenarios × %d fixes", len(run.Scenarios), len(run.Fixes))}
	for _, v := range [...]struct{ what, version string }{{"etcd", run.Etcd}, {"go-micro", run.GoMicro}, {"", run.Go}} {
		if v.version != "" {
			parts = append(parts, strings.TrimSpace(v.what+" "+v.version))
		}
	}
	if run.Took > 0 {
		parts = append(parts, run.Took.Round(100*time.Millisecond).String())
	}
	return strings.Join(parts, " · ")
}

// surprise is a reading that is not as expected.
type surprise struct {
	Cell    Cell
	Reading Reading
}

func (s surprise) name() string {
	return s.Cell.Scenario + "/" + s.Cell.Fix + "/" + s.Reading.Name
}

func (run Run) surprises() []surprise {
	var all []surprise
	for _, c := range run.Cells {
		for _, r := range c.Readings {
			if r.Moved() {
				all = append(all, surprise{c, r})
			}
		}
	}
	return all
}

// How a cost is written; the unit is in the heading.
func (c *Costs) p50() string { return milliseconds(c.ReadP50) }
func (c *Costs) p99() string { return milliseconds(c.ReadP99) }

func (c *Costs) ranges() string {
	switch r := c.RangesPer1000; {
	case r == 0:
		return "0"
	case r < 10:
		return fmt.Sprintf("%.1f", r)
	default:
		return fmt.Sprintf("%.0f", r)
	}
}

func (c *Costs) errors() string {
	if c.ProxyDeath.Requests == 0 {
		return "–"
	}
	return fmt.Sprintf("%d of %d", c.ProxyDeath.Errors, c.ProxyDeath.Requests)
}

func (c *Costs) errorRate() string {
	if c.ProxyDeath.Requests == 0 {
		return "–"
	}
	rate := 100 * float64(c.ProxyDeath.Errors) / float64(c.ProxyDeath.Requests)
	if rate > 0 && rate < 10 {
		return fmt.Sprintf("%.1f", rate)
	}
	return fmt.Sprintf("%.0f", rate)
}

func (c *Costs) recovery() string {
	switch d := c.ProxyDeath; {
	case d.Requests == 0:
		return "–"
	case d.Recovery < 0:
		return "never"
	default:
		return milliseconds(d.Recovery)
	}
}

func (c *Costs) hidden() string {
	if c.MembersHidden {
		return "yes"
	}
	return "no"
}

// milliseconds writes a duration in ms with two or three digits that mean something.
func milliseconds(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	switch {
	case ms == 0:
		return "0"
	case ms < 1:
		return fmt.Sprintf("%.2f", ms)
	case ms < 10:
		return fmt.Sprintf("%.1f", ms)
	default:
		return fmt.Sprintf("%.0f", ms)
	}
}
