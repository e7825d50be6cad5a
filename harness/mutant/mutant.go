// Package mutant reads mutants: small changes of etcd's proxy, each with the cells of the matrix that it must move and
// with what else must notice it, and small changes of our own code, each with the test that must fail.
package mutant

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"ghostroute/harness/text"
)

// Mutant is a patch, and what must come of it.
type Mutant struct {
	Name       string   // "put-clears-nothing", its file's
	What       string   // what it does, in a sentence
	Line       string   // the line that it changes, "server/proxy/grpcproxy/kv.go:83"
	Test       string   // of one of our own code: the package and the test that must fail, "./harness/verdict TestJudge"
	KilledBy   []Column // of one of etcd's proxy: what must notice it
	Missing    string   // of one that survives: the scenario that would kill it
	Equivalent string   // of one that no reader can see: why
	Moves      []Move   // the readings that must move, and what to
	Diff       string   // a unified diff, its paths those of etcd's repository, or of ours
}

// Column is what may notice a mutant of etcd's proxy.
type Column string

const (
	Matrix   Column = "matrix"   // its verdicts
	Unit     Column = "unit"     // the test that our own KV server answers as the proxy does
	Model    Column = "model"    // the tests that hold the model to etcd's code, in one process
	Explorer Column = "explorer" // random plans on real members and proxies, the model held to each step
)

// Columns are all of them, in the order of the table.
func Columns() []Column { return []Column{Matrix, Unit, Model, Explorer} }

// Move is one reading of one cell that is no longer what it was. Where time decides, one that is foretold may be to
// "this or that".
type Move struct{ Scenario, Fix, Reading, Verdict string }

// Cell is the reading's name.
func (m Move) Cell() string { return m.Scenario + "/" + m.Fix + "/" + m.Reading }

func (m Move) String() string { return m.Cell() + ": " + m.Verdict }

// is says whether what was found is what was foretold.
func (m Move) is(found Move) bool {
	return m.Cell() == found.Cell() && slices.Contains(strings.Split(m.Verdict, " or "), found.Verdict)
}

// Parse reads a mutant's file: "key: text" lines, its moves below "moves:", and the diff. An error names the line.
func Parse(name, file string) (Mutant, error) {
	m := Mutant{Name: name}
	head, diff, ok := strings.Cut(file, "\n--- ")
	if !ok {
		return m, fmt.Errorf("%s: it has no diff", name)
	}
	m.Diff = "--- " + diff
	killedBy := ""
	fields := map[string]*string{
		"what": &m.What, "line": &m.Line, "test": &m.Test, "killed by": &killedBy, "missing": &m.Missing,
		"equivalent": &m.Equivalent,
	}
	moving := false
	for n, line := range strings.Split(head, "\n") {
		key, value, ok := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		cell := strings.Split(strings.TrimSpace(key), "/")
		switch {
		case line == "moves:":
			moving = true
		case moving && ok && len(cell) == 3 && value != "":
			m.Moves = append(m.Moves, Move{cell[0], cell[1], cell[2], value})
		case !moving && ok && fields[key] != nil && value != "":
			*fields[key] = value
		default:
			return m, fmt.Errorf("%s:%d: %q is neither what, line, test, killed by, missing, equivalent or moves, "+
				"nor scenario/fix/reading: verdict below moves", name, n+1, line)
		}
	}
	if m.What == "" || m.Line == "" {
		return m, fmt.Errorf("%s: it must say what it does and which line it changes", name)
	}
	if killedBy != "" {
		for c := range strings.SplitSeq(killedBy, ", ") {
			if !slices.Contains(Columns(), Column(c)) {
				return m, fmt.Errorf("%s: %w", name, text.Unknown("column", c, text.Each(Columns(), Column.String)))
			}
			m.KilledBy = append(m.KilledBy, Column(c))
		}
	}
	return m, m.check()
}

func (c Column) String() string { return string(c) }

// check says what a mutant's file lacks, or says twice.
func (m Mutant) check() error {
	ends := 0
	for _, says := range []bool{m.Test != "", len(m.KilledBy) > 0, m.Missing != "", m.Equivalent != ""} {
		if says {
			ends++
		}
	}
	switch pkg, test, _ := strings.Cut(m.Test, " "); {
	case ends != 1:
		return fmt.Errorf("%s: it must say what kills it, or which test, or what is missing, or why it is equivalent", m.Name)
	case slices.Contains(m.KilledBy, Matrix) != (len(m.Moves) > 0):
		return fmt.Errorf("%s: it must have moves if the matrix kills it, and only then", m.Name)
	case m.Test != "" && (!strings.HasPrefix(pkg, "./") || !strings.HasPrefix(test, "Test")):
		return fmt.Errorf("%s: %q is not a package and its test", m.Name, m.Test)
	}
	return nil
}

// ReadAll reads the mutants in a folder, which are etcd's, and those in the folders in it, which are ours, by name, or
// these of them.
func ReadAll(dir string, names ...string) (all []Mutant, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.patch"))
	if err != nil {
		return nil, err
	}
	ours, err := filepath.Glob(filepath.Join(dir, "*", "*.patch"))
	if err != nil {
		return nil, err
	}
	var there []Mutant
	for _, f := range append(files, ours...) {
		b, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		m, err := Parse(strings.TrimSuffix(filepath.Base(f), ".patch"), string(b))
		if err != nil {
			return nil, err
		}
		if slices.Contains(ours, f) != m.Ours() {
			return nil, fmt.Errorf("%s: a mutant of our own code stands in a folder and names its test", m.Name)
		}
		there = append(there, m)
	}
	if len(names) == 0 {
		return there, nil
	}
	for _, name := range names {
		m, err := text.Find("mutant", name, there, func(m Mutant) string { return m.Name })
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

// Ours says whether it is a change of our own code, and not of etcd's.
func (m Mutant) Ours() bool { return m.Test != "" }

// Fixes are the columns in which the mutant is tried: none, and those of its moves.
func (m Mutant) Fixes() []string {
	fixes := []string{"none"}
	for _, move := range m.Moves {
		if !slices.Contains(fixes, move.Fix) {
			fixes = append(fixes, move.Fix)
		}
	}
	return fixes
}

// Files are the files that the diff changes, in the repository it is of.
func (m Mutant) Files() (files []string) {
	for line := range strings.Lines(m.Diff) {
		if file, ok := strings.CutPrefix(line, "+++ b/"); ok {
			files = append(files, strings.TrimSpace(file))
		}
	}
	return files
}

// Apply changes a copy of the server module, or of our repository, or with "-R" changes it back. A diff that does not
// apply in every hunk changes nothing, and the error says which line of which file was not as it should be.
func (m Mutant) Apply(ctx context.Context, module string, flags ...string) error {
	strip := "-p2" // etcd's repository has the module in a folder
	if m.Ours() {
		strip = "-p1"
	}
	args := append([]string{"apply", strip, "--whitespace=nowarn"}, flags...)
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir, cmd.Stdin = module, strings.NewReader(m.Diff)
	// Inside a repository git would take the paths for the repository's.
	cmd.Env = append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(module))
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s does not apply: %w", m.Name, cmp.Or(saying(said.String()), err))
	}
	return nil
}

// saying is what git complained of, in one line.
func saying(said string) error {
	if said = strings.TrimSpace(said); said == "" {
		return nil
	}
	return errors.New(strings.ReplaceAll(strings.ReplaceAll(said, "error: ", ""), "\n", "; "))
}

// Difference is what was foretold and did not move, and what moved, or moved to, what was not foretold.
func (m Mutant) Difference(found []Move) (less, more []Move) {
	for _, move := range m.Moves {
		if !slices.ContainsFunc(found, move.is) {
			less = append(less, move)
		}
	}
	for _, move := range found {
		if !slices.ContainsFunc(m.Moves, func(foretold Move) bool { return foretold.is(move) }) {
			more = append(more, move)
		}
	}
	return less, more
}
