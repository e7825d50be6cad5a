package patch

import (
	"fmt"
	"slices"
	"strings"

	"ghostroute/harness/mutant"
	"ghostroute/harness/text"
)

// Foretold is what each step must move, by the step's title, as the table has it: "nested-txn: fresh". The table that
// an earlier run wrote foretells the next one.
type Foretold map[string][]string

// ReadForetold reads the table at the end of a page.
func ReadForetold(page string) (Foretold, error) {
	foretold := Foretold{}
	for n, line := range strings.Split(page, "\n") {
		cells := strings.Split(line, " | ")
		if len(cells) != 4 || !strings.HasPrefix(cells[0], "| 0") {
			continue
		}
		title := strings.TrimPrefix(cells[0], "| ")
		foretold[title] = []string{}
		for _, told := range strings.Split(strings.TrimSuffix(strings.TrimSpace(cells[3]), "|"), "<br>") {
			if told = strings.TrimSpace(told); told == "" {
				continue
			}
			verdict, names, ok := strings.Cut(strings.TrimPrefix(told, "**"), "**: ")
			if !ok {
				return nil, fmt.Errorf("line %d: %q is not a verdict in bold and its scenarios", n+1, told)
			}
			for _, scenario := range strings.Split(names, ", ") {
				foretold[title] = append(foretold[title], scenario+": "+verdict)
			}
		}
	}
	if len(foretold) == 0 {
		return nil, fmt.Errorf("it has no table of what each patch moves")
	}
	return foretold, nil
}

// Differs says in a line how what a step moved differs from what was foretold of it, "" where it does not. Only what
// was tried is looked at, nil being everything; a cell in which two runs of one state differ is left out.
func (s Step) Differs(foretold Foretold, tried, differ []string) string {
	was, ok := foretold[s.title()]
	if !ok {
		return fmt.Sprintf("%s: nothing was foretold of it: --write keeps the table", s.title())
	}
	unsure := func(scenario string) bool {
		return slices.ContainsFunc(differ, func(cell string) bool { return strings.HasPrefix(cell, scenario+"/") })
	}
	left := func(told string) bool {
		scenario, _, _ := strings.Cut(told, ": ")
		return tried != nil && !slices.Contains(tried, scenario) || unsure(scenario)
	}
	is := text.Each(s.Moved, func(m mutant.Move) string { return m.Scenario + ": " + m.Verdict })
	without := func(all, those []string) (rest []string) {
		for _, told := range all {
			if !left(told) && !slices.Contains(those, told) && !slices.Contains(rest, told) {
				rest = append(rest, told)
			}
		}
		return rest
	}
	var said []string
	if less := without(was, is); less != nil {
		said = append(said, "foretold and not so: "+strings.Join(less, "; "))
	}
	if more := without(is, was); more != nil {
		said = append(said, "not foretold: "+strings.Join(more, "; "))
	}
	if said == nil {
		return ""
	}
	return s.title() + ": " + strings.Join(said, ". ")
}
