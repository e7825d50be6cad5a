package scenarios

import (
	"fmt"
	"strings"

	"ghostroute/harness/gateway"
)

const written = "<!-- written by make verdicts -->\n"

const matrixHead = `# Every scenario against every fix

` + written + `
**F** fresh: never wrong once the change was acknowledged. **H** heals: wrong, then right. **S** stale: wrong to the end, and provenance
says why. Then **g** ghost, **h** hidden, **l** leak. Left of the slash gateways that resolve on every request (is the *proxy* cured?),
right of it go-micro's own with its cache and watch (are the *users* cured?). A dash makes no sense.

`

const fixesHead = `# The fixes

` + written + `
What each is and who proposed it; what it is said to do, and what it takes away that the proxies were there for; and over all scenarios
how often it is **F**resh, **H**eals or is **S**tale, for the proxies and for go-micro's users.

`

// Table is fixtures/matrix.md: the verdicts as a Markdown table, two letters a reading: Sg is stale ghost.
func (v Verdicts) Table() string {
	var b strings.Builder
	b.WriteString(matrixHead + "| |")
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

// FixTable is fixtures/fixes.md: it says of each fix, as a Markdown table, what it is, whose, what it claims and gives up, and what it came to in all.
func (v Verdicts) FixTable() string {
	var b strings.Builder
	b.WriteString(fixesHead + "| fix | what it is | whose, or where | it claims | it gives up | proxies | users |\n|---|---|---|---|---|---|---|\n")
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
