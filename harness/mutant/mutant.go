// Package mutant reads mutants: small changes of etcd's proxy, each with the cells of the matrix that it must move.
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

// Mutant is a patch of etcd's server module, and what must come of it.
type Mutant struct {
	Name       string // "put-clears-nothing", its file's
	What       string // what it does, in a sentence
	Line       string // the line of etcd that it changes, "server/proxy/grpcproxy/kv.go:83"
	Missing    string // of one that survives: the scenario that would kill it
	Equivalent string // of one that no reader can see: why
	Moves      []Move // the readings that must move, and what to
	Diff       string // a unified diff, its paths those of etcd's repository
}

// Move is one reading of one cell that is no longer what it was.
type Move struct{ Scenario, Fix, Reading, Verdict string }

// Cell is the reading's name.
func (m Move) Cell() string { return m.Scenario + "/" + m.Fix + "/" + m.Reading }

func (m Move) String() string { return m.Cell() + ": " + m.Verdict }

// Parse reads a mutant's file: "key: text" lines, its moves below "moves:", and the diff. An error names the line.
func Parse(name, file string) (Mutant, error) {
	m := Mutant{Name: name}
	head, diff, ok := strings.Cut(file, "\n--- ")
	if !ok {
		return m, fmt.Errorf("%s: it has no diff", name)
	}
	m.Diff = "--- " + diff
	fields := map[string]*string{
		"what": &m.What, "line": &m.Line, "missing": &m.Missing, "equivalent": &m.Equivalent,
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
			return m, fmt.Errorf("%s:%d: %q is neither what, line, missing, equivalent or moves, nor "+
				"scenario/fix/reading: verdict below moves", name, n+1, line)
		}
	}
	if m.What == "" || m.Line == "" {
		return m, fmt.Errorf("%s: it must say what it does and which line it changes", name)
	}
	if expected := m.Missing == "" && m.Equivalent == ""; expected != (len(m.Moves) > 0) {
		return m, fmt.Errorf("%s: it must have moves, or say what is missing, or why it is equivalent", name)
	}
	return m, nil
}

// ReadAll reads the mutants in a folder by name, or these of them.
func ReadAll(dir string, names ...string) (all []Mutant, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.patch"))
	if err != nil {
		return nil, err
	}
	var there []string
	for _, f := range files {
		there = append(there, strings.TrimSuffix(filepath.Base(f), ".patch"))
	}
	if len(names) == 0 {
		names = there
	}
	for _, name := range names {
		if !slices.Contains(there, name) {
			return nil, text.Unknown("mutant", name, there)
		}
		file, err := os.ReadFile(filepath.Join(dir, name+".patch"))
		if err != nil {
			return nil, err
		}
		m, err := Parse(name, string(file))
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

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

// Apply changes a copy of the server module, or with "-R" changes it back. A diff that does not apply in every hunk
// changes nothing, and the error says which line of which file was not as it should be.
func (m Mutant) Apply(ctx context.Context, module string, flags ...string) error {
	args := append([]string{"apply", "-p2", "--whitespace=nowarn"}, flags...)
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
		if !slices.Contains(found, move) {
			less = append(less, move)
		}
	}
	for _, move := range found {
		if !slices.Contains(m.Moves, move) {
			more = append(more, move)
		}
	}
	return less, more
}
