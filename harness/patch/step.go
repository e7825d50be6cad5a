package patch

import (
	"slices"
	"strings"

	"ghostroute/harness/mutant"
	"ghostroute/harness/text"
)

// Step is what one more patch came to, or one more switch.
type Step struct {
	Patch
	On    bool // it was turned on
	Moved []mutant.Move
}

// AsStock is the verdict of a reading that a patch before had moved and this one has moved back.
const AsStock = "as stock"

// Since is what moved between two states, each given as all that differs from stock.
func Since(before, now []mutant.Move) (moved []mutant.Move) {
	for _, m := range now {
		if !slices.Contains(before, m) {
			moved = append(moved, m)
		}
	}
	for _, m := range before {
		if !slices.ContainsFunc(now, func(is mutant.Move) bool { return is.Cell() == m.Cell() }) {
			m.Verdict = AsStock
			moved = append(moved, m)
		}
	}
	return moved
}

// Both is what two runs of one state agree on, and the cells in which they differ.
func Both(one, other []mutant.Move) (agreed []mutant.Move, differ []string) {
	for i, found := range [][]mutant.Move{one, other} {
		for _, m := range found {
			switch in := slices.Contains([][]mutant.Move{other, one}[i], m); {
			case !in && !slices.Contains(differ, m.Cell()):
				differ = append(differ, m.Cell())
			case in && i == 0:
				agreed = append(agreed, m)
			}
		}
	}
	return agreed, differ
}

func (s Step) title() string {
	if s.On {
		return s.Name + ", turned on"
	}
	return s.Name
}

func (s Step) String() string {
	if len(s.Moved) == 0 {
		return s.title() + ": nothing moved"
	}
	said := s.title() + ": " + counted(s.Moved) + " moved"
	for _, m := range s.Moved {
		said += "\n  " + m.String()
	}
	return said
}

// counted is how many cells moved: a cell may have two readings.
func counted(moved []mutant.Move) string {
	cells := map[string]bool{}
	for _, m := range moved {
		cells[m.Scenario+"/"+m.Fix] = true
	}
	return text.Count(len(cells), "cell")
}

// Table is the steps as Markdown. Cells in which two runs of one state differed are named, and counted for no patch.
func Table(steps []Step, differ []string) string {
	var b strings.Builder
	b.WriteString("| patch | what it says | cells moved | |\n|---|---|---|---|\n")
	for _, s := range steps {
		s.Moved = slices.DeleteFunc(slices.Clone(s.Moved), func(m mutant.Move) bool {
			return slices.Contains(differ, m.Cell())
		})
		cells := []string{s.title(), s.Subject, counted(s.Moved), strings.Join(told(s.Moved), "<br>")}
		b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
	}
	if len(differ) > 0 {
		b.WriteString("\nNot counted, since two runs of one and the same code differed in it: " + text.And(differ) + ".\n")
	}
	return b.String()
}

// told is what moved, a line a verdict, and where a cell's readings moved alike it stands once.
func told(moved []mutant.Move) (lines []string) {
	to := map[string][]string{}
	var verdicts []string
	for _, m := range moved {
		if to[m.Verdict] == nil {
			verdicts = append(verdicts, m.Verdict)
		}
		if !slices.Contains(to[m.Verdict], m.Scenario) {
			to[m.Verdict] = append(to[m.Verdict], m.Scenario)
		}
	}
	slices.Sort(verdicts)
	for _, v := range verdicts {
		lines = append(lines, "**"+v+"**: "+strings.Join(to[v], ", "))
	}
	return lines
}
