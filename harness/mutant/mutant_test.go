package mutant_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/mutant"
)

const text = `what: B is C.
line: server/proxy/kv.go:2
moves:
  crash/none/each-request: fresh
  crash/ttl/go-micro: stale ghost
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
		{"crash", "none", "each-request", "fresh"}, {"crash", "ttl", "go-micro", "stale ghost"},
	},
		m.Moves)
	require.Equal(t, []string{"none", "ttl"}, m.Fixes())
	less, more := m.Difference([]mutant.Move{m.Moves[1], {"crash", "none", "each-request", "unknown"}})
	require.Equal(t, m.Moves[:1], less)
	require.Equal(t, "crash/none/each-request: unknown", more[0].String())

	for bad, want := range map[string]string{
		"what: x\nline: y\nmoves:\n  a/b/c: fresh\n":                "no diff",
		"what: x\nwhich: y\n--- a\n":                                `x:2: "which: y"`,
		"what: x\nline: y\nmoves:\n  a/b: fresh\n--- a\n":           `x:4: "  a/b: fresh"`,
		"what: x\nmoves:\n  a/b/c: fresh\n--- a\n":                  "which line",
		"what: x\nline: y\nmoves:\n--- a\n":                         "must have moves",
		"what: x\nline: y\nmissing: z\nmoves:\n  a/b/c: d\n--- a\n": "must have moves",
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

// The repository's own mutants can be read.
func TestMutantsAreRead(t *testing.T) {
	all, err := mutant.ReadAll("../../fixtures/mutants")
	require.NoError(t, err)
	require.NotEmpty(t, all)
}
