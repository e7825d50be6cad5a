package mutant

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"ghostroute/harness/text"
)

// Outcome is what a mutant came to.
type Outcome struct {
	Mutant
	Moved []Move
	Built time.Duration // how long the build took
}

// Fate is how an outcome compares with what was foretold.
type Fate string

const (
	Killed     Fate = "killed"
	Otherwise  Fate = "otherwise"  // other readings moved than were foretold
	Survived   Fate = "survived"   // nothing moved
	Equivalent Fate = "equivalent" // nothing moved, and nothing can
)

// Fate says which it is.
func (o Outcome) Fate() Fate {
	less, more := o.Difference(o.Moved)
	switch {
	case o.Mutant.Equivalent != "" && len(more) == 0:
		return Equivalent
	case len(o.Moved) == 0:
		return Survived
	case len(less)+len(more) > 0:
		return Otherwise
	}
	return Killed
}

func (o Outcome) String() string {
	switch o.Fate() {
	case Killed:
		return "killed by " + text.Count(len(o.Moved), "reading")
	case Otherwise:
		less, more := o.Difference(o.Moved)
		said := "killed otherwise"
		for _, m := range less {
			said += "\n  foretold  " + m.String()
		}
		for _, m := range more {
			said += "\n  moved     " + m.String()
		}
		return said
	}
	return string(o.Fate())
}

// Write keeps an outcome.
func (o Outcome) Write(file string) error {
	b, err := json.MarshalIndent(o, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, b, 0o644)
}

// Read takes what moved from an outcome that was kept, if it is the same diff's.
func (o *Outcome) Read(file string) bool {
	var kept Outcome
	b, err := os.ReadFile(file)
	if err != nil || json.Unmarshal(b, &kept) != nil || kept.Diff != o.Diff {
		return false
	}
	o.Moved, o.Built = kept.Moved, kept.Built
	return true
}

// shown is how many readings a row of the table names.
const shown = 3

// Table is the outcomes as Markdown, the survivors at the end.
func Table(all []Outcome) string {
	var b strings.Builder
	b.WriteString("| mutant | what it does | line | matrix |\n|---|---|---|---|\n")
	for _, o := range all {
		var cells []string
		for _, m := range o.Moved[:min(shown, len(o.Moved))] {
			cells = append(cells, strings.ReplaceAll(m.String(), "/none/", ", "))
		}
		if more := len(o.Moved) - shown; more > 0 {
			cells = append(cells, fmt.Sprintf("and %d more", more))
		}
		line := strings.TrimPrefix(o.Line, "server/proxy/grpcproxy/")
		how := strings.Join(append([]string{string(o.Fate())}, cells...), "<br>")
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", o.Name, o.What, line, how)
	}
	for _, fate := range []Fate{Survived, Otherwise, Equivalent} {
		head := "\n" + strings.ToUpper(string(fate[:1])) + string(fate[1:]) + ":\n\n"
		for _, o := range all {
			if o.Fate() == fate {
				fmt.Fprintf(&b, "%s- %s: %s%s\n", head, o.Name, o.Missing, o.Mutant.Equivalent)
				head = ""
			}
		}
	}
	return b.String()
}

// begins is where the table begins in the file that has it.
const begins = "<!-- ghostroute mutants --write -->\n"

// WriteTable writes the table to the end of a file.
func WriteTable(file, table string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	head, _, ok := strings.Cut(string(b), begins)
	if !ok {
		return fmt.Errorf("%s has no line %q, below which the table stands", file, strings.TrimSpace(begins))
	}
	return os.WriteFile(file, []byte(head+begins+table), 0o644)
}
