package mutant_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/mutant"
)

const text = `what: B is C.
line: server/proxy/kv.go:2
killed by: matrix, unit
moves:
  crash/none/each-request: fresh
  crash/ttl/go-micro: fresh or heals ghost
--- a/server/proxy/kv.go
+++ b/server/proxy/kv.go
@@ -1,3 +1,3 @@
 a
-b
+c
 d
`

func TestParse(t *testing.T) {
	m, err := mutant.Parse("b-is-c", text)
	require.NoError(t, err)
	require.Equal(t, "B is C.", m.What)
	require.Equal(t, "server/proxy/kv.go:2", m.Line)
	require.Equal(t, []mutant.Move{
		{"crash", "none", "each-request", "fresh"}, {"crash", "ttl", "go-micro", "fresh or heals ghost"},
	}, m.Moves)
	require.Equal(t, []mutant.Column{mutant.Matrix, mutant.Unit}, m.KilledBy)
	require.Equal(t, []string{"server/proxy/kv.go"}, m.Files())
	require.Equal(t, []string{"none", "ttl"}, m.Fixes())
	less, more := m.Difference([]mutant.Move{{"crash", "ttl", "go-micro", "heals ghost"},
		{"crash", "none", "each-request", "unknown"}})
	require.Equal(t, m.Moves[:1], less)
	require.Equal(t, "crash/none/each-request: unknown", more[0].String())

	for bad, want := range map[string]string{
		"what: x\nline: y\nmoves:\n  a/b/c: fresh\n":                "no diff",
		"what: x\nwhich: y\n--- a\n":                                `x:2: "which: y"`,
		"what: x\nline: y\nmoves:\n  a/b: fresh\n--- a\n":           `x:4: "  a/b: fresh"`,
		"what: x\nmoves:\n  a/b/c: fresh\n--- a\n":                  "which line",
		"what: x\nline: y\nmoves:\n--- a\n":                         "must say what kills it",
		"what: x\nline: y\nkilled by: matrix\n--- a\n":              "must have moves",
		"what: x\nline: y\nkilled by: luck\n--- a\n":                `no column "luck"`,
		"what: x\nline: y\nmissing: z\nmoves:\n  a/b/c: d\n--- a\n": "and only then",
		"what: x\nline: y\nmissing: z\nequivalent: w\n--- a\n":      "must say what kills it",
		"what: x\nline: y\ntest: ./a\n--- a\n":                      "not a package and its test",
	} {
		_, err := mutant.Parse("x", bad)
		require.ErrorContains(t, err, want, "%s", bad)
	}
}

func TestApply(t *testing.T) {
	m, err := mutant.Parse("b-is-c", text)
	require.NoError(t, err)
	dir := t.TempDir()
	file := filepath.Join(dir, "proxy", "kv.go")
	require.NoError(t, os.Mkdir(filepath.Dir(file), 0o755))
	is := func(want string) {
		t.Helper()
		got, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, want, string(got))
	}
	require.NoError(t, os.WriteFile(file, []byte("a\nb\nd\n"), 0o644))
	require.NoError(t, m.Apply(t.Context(), dir))
	is("a\nc\nd\n")
	require.ErrorContains(t, m.Apply(t.Context(), dir), "proxy/kv.go:1")
	is("a\nc\nd\n")
	require.NoError(t, m.Apply(t.Context(), dir, "-R"))
	is("a\nb\nd\n")
	m.Diff += "@@ -10,2 +10,1 @@\n x\n-y\n"
	require.Error(t, m.Apply(t.Context(), dir), "the second hunk does not apply")
	is("a\nb\nd\n")
}

// The repository's own mutants can be read, and those of its own code are of it as it is now.
func TestMutantsAreRead(t *testing.T) {
	top := filepath.Join("..", "..")
	all, err := mutant.ReadAll(filepath.Join(top, "fixtures", "mutants"))
	require.NoError(t, err)
	ours := 0
	for _, m := range all {
		if !m.Ours() {
			continue
		}
		ours++
		dir := t.TempDir()
		for _, file := range m.Files() {
			b, err := os.ReadFile(filepath.Join(top, file))
			require.NoError(t, err)
			require.NoError(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(file)), 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(dir, file), b, 0o644))
		}
		require.NoError(t, m.Apply(t.Context(), dir))
	}
	require.Positive(t, ours)
	require.Greater(t, len(all), ours)
}

// A mutant is killed by any column that was to notice it, and by no other; the matrix must move as it was foretold.
func TestFate(t *testing.T) {
	m, err := mutant.Parse("b-is-c", text)
	require.NoError(t, err)
	moved := []mutant.Move{{"crash", "none", "each-request", "fresh"}, {"crash", "ttl", "go-micro", "heals ghost"}}
	ours := mutant.Mutant{Test: "./a TestA"}
	for want, outcomes := range map[mutant.Fate][]mutant.Outcome{
		mutant.Killed: {
			{Mutant: m, Moved: moved},
			{Mutant: m, Moved: moved, Noticed: []mutant.Column{mutant.Unit, mutant.Model}},
			{Mutant: mutant.Mutant{KilledBy: []mutant.Column{mutant.Model}}, Noticed: []mutant.Column{mutant.Model}},
			{Mutant: ours, Noticed: []mutant.Column{mutant.Unit}},
		},
		mutant.Otherwise: {
			{Mutant: m, Moved: moved[:1]},
			{Mutant: m, Noticed: []mutant.Column{mutant.Unit}},
			{Mutant: mutant.Mutant{KilledBy: []mutant.Column{mutant.Model}}, Noticed: []mutant.Column{mutant.Unit}},
			{Mutant: mutant.Mutant{Equivalent: "no"}, Noticed: []mutant.Column{mutant.Unit}},
		},
		mutant.Survived:   {{Mutant: m}, {Mutant: ours}, {Mutant: mutant.Mutant{Missing: "all"}}},
		mutant.Equivalent: {{Mutant: mutant.Mutant{Equivalent: "yes"}}},
	} {
		for i, o := range outcomes {
			require.Equal(t, want, o.Fate(), "%s %d: %s", want, i, o)
		}
	}
}

// Each of the two tables is written below its own line, and the other stays; a run of ours alone has nothing of etcd's.
func TestEachTableHasItsPlace(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "README.md")
	page := "page\n<!-- ghostroute m --write -->\n%s\n<!-- ghostroute m --ours --write -->\n%s"
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, page, "old\n", "old\n"), 0o644))
	etcds, ours := mutant.Outcome{Mutant: mutant.Mutant{Name: "a"}}, mutant.Outcome{Mutant: mutant.Mutant{Test: "./b T"}}
	is := func(first, second string) {
		t.Helper()
		got, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf(page, first, second), string(got))
	}
	require.NoError(t, mutant.WriteTables(file, "m", []mutant.Outcome{ours}))
	is("old\n", mutant.Table([]mutant.Outcome{ours}))
	require.NoError(t, mutant.WriteTables(file, "m", []mutant.Outcome{etcds, ours}))
	is(mutant.Table([]mutant.Outcome{etcds}), mutant.Table([]mutant.Outcome{ours}))
	require.Error(t, mutant.WriteTables(file, "n", nil))
}
