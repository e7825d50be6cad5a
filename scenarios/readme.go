package scenarios

import (
	"fmt"
	"strings"

	"ghostroute/harness/gateway"
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

// FixTable says of each fix, as a Markdown table, what it is, whose, what it claims and gives up, and what it came to in all.
func (v Verdicts) FixTable() string {
	var b strings.Builder
	b.WriteString("| fix | what it is | whose, or where | it claims | it gives up | proxies | users |\n|---|---|---|---|---|---|---|\n")
	for _, f := range Fixes() {
		fmt.Fprintf(&b, "| **%s** | %s | %s | %s | %s | %s | %s |\n", f.Name, f.Title, f.Source, f.Claims, f.GivesUp,
			v.sum(f, gateway.EachRequest), v.sum(f, gateway.GoMicro))
	}
	return b.String()
}

// sum counts the verdicts on a fix: "27 F, 9 S".
func (v Verdicts) sum(f Fix, r gateway.Kind) string {
	n := map[string]int{}
	for _, s := range All() {
		outcome, _, _ := strings.Cut(v.cell(s, f, r), " ")
		n[outcome]++
	}
	var list []string
	for _, outcome := range []string{"fresh", "heals", "stale"} {
		if n[outcome] > 0 {
			list = append(list, fmt.Sprintf("%d %s", n[outcome], letters(outcome)))
		}
	}
	return strings.Join(list, ", ")
}

// InReadme puts the tables into the text of the README, each between two lines that say so.
func (v Verdicts) InReadme(text string) (string, error) {
	for _, part := range []struct{ name, table string }{{"matrix", v.Table()}, {"fixes", v.FixTable()}} {
		begin, end := "<!-- "+part.name+": written by make verdicts -->\n", "<!-- "+part.name+" end -->"
		before, rest, ok := strings.Cut(text, begin)
		_, after, ok2 := strings.Cut(rest, end)
		if !ok || !ok2 {
			return "", fmt.Errorf("the README has no place for the %s: no line %q, or no %q below it", part.name, strings.TrimSpace(begin), end)
		}
		text = before + begin + part.table + end + after
	}
	return text, nil
}
