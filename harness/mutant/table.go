package mutant

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"ghostroute/harness/text"
)

// Outcome is what a mutant came to.
type Outcome struct {
	Mutant
	Moved   []Move
	Noticed []Column      // what else noticed it; of one of our own code nothing but Unit, its test
	Built   time.Duration // how long the build took
}

// Fate is how an outcome compares with what was foretold.
type Fate string

const (
	Killed     Fate = "killed"
	Otherwise  Fate = "otherwise"  // other readings moved than were foretold, or another column noticed it
	Survived   Fate = "survived"   // nothing noticed it
	Equivalent Fate = "equivalent" // nothing noticed it, and nothing can
)

// Fate says which it is. A mutant that several columns are to notice is killed by any of them: the explorer has chance
// and a time in it.
func (o Outcome) Fate() Fate {
	less, more := o.Difference(o.Moved)
	foretold := o.Ours() || slices.ContainsFunc(o.KilledBy, o.noticed)
	switch noticed := slices.ContainsFunc(Columns(), o.noticed); {
	case o.Mutant.Equivalent != "" && !noticed:
		return Equivalent
	case !noticed:
		return Survived
	case len(less)+len(more) > 0 || !foretold:
		return Otherwise
	}
	return Killed
}

// noticed says whether a column did.
func (o Outcome) noticed(c Column) bool {
	return slices.Contains(o.Noticed, c) || c == Matrix && len(o.Moved) > 0
}

func (o Outcome) String() string {
	said := string(o.Fate())
	if n := len(o.Moved); n > 0 {
		said += ", " + text.Count(n, "reading")
	}
	for _, c := range Columns() {
		switch foretold, is := slices.Contains(o.KilledBy, c), o.noticed(c); {
		case o.Ours(): // there is one test, and it did or did not
		case is && !foretold:
			said += ", by the " + string(c) + " as was not foretold"
		case is && c != Matrix:
			said += ", by the " + string(c)
		case !is && foretold:
			said += ", not by the " + string(c) + " as was foretold"
		}
	}
	less, more := o.Difference(o.Moved)
	for _, m := range less {
		said += "\n  foretold  " + m.String()
	}
	for _, m := range more {
		said += "\n  moved     " + m.String()
	}
	return said
}

// Write keeps an outcome.
func (o Outcome) Write(file string) error {
	b, err := json.MarshalIndent(o, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, b, 0o644)
}

// Read takes what noticed it from an outcome that was kept, if it is the same diff's.
func (o *Outcome) Read(file string) bool {
	var kept Outcome
	b, err := os.ReadFile(file)
	if err != nil || json.Unmarshal(b, &kept) != nil || kept.Diff != o.Diff {
		return false
	}
	o.Moved, o.Noticed, o.Built = kept.Moved, kept.Noticed, kept.Built
	return true
}

// shown is how many readings a row of the table names.
const shown = 3

// Table is the outcomes as Markdown: those of etcd's proxy, those of our own code, and at the end what was not killed.
func Table(all []Outcome) string {
	var etcds, ours strings.Builder
	for _, o := range all {
		if o.Ours() {
			_, test, _ := strings.Cut(o.Test, " ")
			fmt.Fprintf(&ours, "| %s | %s | %s | %s |\n", o.Name, o.What, test, o.Fate())
			continue
		}
		var moved []string
		for _, m := range o.Moved[:min(shown, len(o.Moved))] {
			moved = append(moved, strings.ReplaceAll(m.String(), "/none/", ", "))
		}
		if more := len(o.Moved) - shown; more > 0 {
			moved = append(moved, fmt.Sprintf("and %d more", more))
		}
		cells := []string{o.Name, o.What, strings.TrimPrefix(o.Line, "server/proxy/grpcproxy/"), string(o.Fate()),
			strings.Join(moved, "<br>")}
		for _, c := range Columns()[1:] {
			is := ""
			if o.noticed(c) {
				is = "x"
			}
			cells = append(cells, is)
		}
		etcds.WriteString("| " + strings.Join(cells, " | ") + " |\n")
	}
	var b strings.Builder
	if etcds.Len() > 0 {
		b.WriteString("| mutant | what it does | line | | matrix | unit | model | explorer |\n" +
			"|---|---|---|---|---|---|---|---|\n" + etcds.String())
	}
	if ours.Len() > 0 {
		b.WriteString("\n| of our own code | what it does | the test | |\n|---|---|---|---|\n" + ours.String())
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

// WriteTables writes the tables of a run to a file: etcd's below the line that names the verb, if some were tried, and
// ours below the one that names it with --ours.
func WriteTables(file, verb string, all []Outcome) error {
	var etcds, ours []Outcome
	for _, o := range all {
		if o.Ours() {
			ours = append(ours, o)
		} else {
			etcds = append(etcds, o)
		}
	}
	err := WriteTable(file, verb+" --ours", Table(ours))
	if len(etcds) > 0 {
		err = errors.Join(err, WriteTable(file, verb, Table(etcds)))
	}
	return err
}

// WriteTable writes the table of a verb to a file, between the line that names the verb and the next that names one, or
// the end.
func WriteTable(file, verb, table string) error {
	const comment = "<!-- ghostroute "
	begins := comment + verb + " --write -->\n"
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	head, rest, ok := strings.Cut(string(b), begins)
	if !ok {
		return fmt.Errorf("%s has no line %q, below which the table stands", file, strings.TrimSpace(begins))
	}
	if _, others, ok := strings.Cut(rest, comment); ok {
		table += "\n" + comment + others
	}
	return os.WriteFile(file, []byte(head+begins+table), 0o644)
}
