package scenarios

import (
	"io"
	"strings"

	"ghostroute/harness/report"
)

const written = "<!-- written by make verdicts -->\n"

const matrixHead = `# Every scenario against every fix

` + written + `
`

const fixesHead = `# The fixes

` + written + `
What each is and who proposed it; what it is said to do, and what it takes away that the proxies were there for; and
over all scenarios how often it is **F**resh, **H**eals or is **S**tale, for the proxies and for go-micro's users.

`

// table is one of the Markdown files that are written from the verdicts.
func (v Verdicts) table(head string, write func(io.Writer, report.Run) error) (string, error) {
	run := report.Run{Scenarios: rows(All()), Fixes: columns(Fixes())}
	for _, s := range All() {
		for _, f := range Fixes() {
			c := report.Cell{Scenario: s.Name, Fix: f.Name}
			for _, reading := range Readings {
				if label := v.cell(s, f, reading); label == "n/a" {
					c.NA = label
				} else if label != "" {
					c.Readings = append(c.Readings, report.Labelled(string(reading), label))
				}
			}
			if len(c.Readings) > 0 {
				c.NA = ""
			}
			run.Cells = append(run.Cells, c)
		}
	}
	var b strings.Builder
	b.WriteString(head)
	err := write(&b, run)
	return b.String(), err
}

// rows are scenarios as a report has them, columns fixes.
func rows(scenarios []Scenario) (all []report.Scenario) {
	for _, s := range scenarios {
		all = append(all, report.Scenario{Name: s.Name, Theme: s.Theme, Title: s.Title, Seen: s.Seen, Text: s.Text})
	}
	return all
}

func columns(fixes []Fix) (all []report.Fix) {
	for _, f := range fixes {
		all = append(all, report.Fix{Name: f.Name, Title: f.Title, Source: f.Source, Claims: f.Claims, GivesUp: f.GivesUp})
	}
	return all
}
