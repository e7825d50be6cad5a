package scenarios

import (
	"fmt"
	"strings"

	"ghostroute/harness/gateway"
)

// The README holds the matrix between these two lines.
const (
	readmeBegin = "<!-- matrix: written by make verdicts -->\n"
	readmeEnd   = "<!-- matrix end -->"
)

// Table is the verdicts as a Markdown table, two letters a reading: Sg is stale ghost.
func (v Verdicts) Table() string {
	var b strings.Builder
	b.WriteString("| |")
	for _, f := range Fixes() {
		fmt.Fprintf(&b, " %s |", f.Name)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(Fixes())) + "\n")
	for _, s := range All() {
		fmt.Fprintf(&b, "| %s |", s.Name)
		for _, f := range Fixes() {
			fmt.Fprintf(&b, " %s/%s |", letters(v.cell(s, f, gateway.EachRequest)), letters(v.cell(s, f, gateway.GoMicro)))
		}
		b.WriteString("\n")
	}
	return b.String()
}

func letters(label string) string {
	outcome, symptom, _ := strings.Cut(label, " ")
	if outcome == "n/a" || outcome == "" {
		return "–"
	}
	if symptom != "" {
		symptom = symptom[:1]
	}
	return strings.ToUpper(outcome[:1]) + symptom
}

// InReadme puts the table into the text of the README.
func (v Verdicts) InReadme(text string) (string, error) {
	before, rest, ok := strings.Cut(text, readmeBegin)
	_, after, ok2 := strings.Cut(rest, readmeEnd)
	if !ok || !ok2 {
		return "", fmt.Errorf("the README has no place for the matrix: no line %q, or no %q below it", strings.TrimSpace(readmeBegin), readmeEnd)
	}
	return before + readmeBegin + v.Table() + readmeEnd + after, nil
}
