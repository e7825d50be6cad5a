package main_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/mutant"
)

// What two shards of the mutants left makes one table; what none left is an error that names it.
func TestMutantsOfTwoShardsAreOneTable(t *testing.T) {
	t.Parallel()
	names := []string{"put-clears-nothing", "unknown-is-fresh"}
	all, err := mutant.ReadAll("../../../fixtures/mutants", names...)
	require.NoError(t, err)
	dir := t.TempDir()
	for i, noticed := range [][]mutant.Column{{mutant.Matrix}, {mutant.Unit}} {
		left := filepath.Join(dir, names[i], names[i])
		require.NoError(t, os.MkdirAll(left, 0o755))
		o := mutant.Outcome{Mutant: all[i], Noticed: noticed}
		if i == 0 {
			o.Moved = o.Moves
		}
		require.NoError(t, o.Write(filepath.Join(left, "result.json")))
	}
	from := filepath.Join(dir, names[0]) + "," + filepath.Join(dir, names[1])
	got := run(t, "mutants", names[0], names[1], "--from", from, "--out", dir)
	require.Zero(t, got.code, got.errs)
	require.Contains(t, got.out, "| put-clears-nothing | Put clears nothing. | kv.go:83 | killed | crash, each-request:")
	require.Contains(t, got.out, "| unknown-is-fresh | What is not known is taken for fresh. | TestJudge | killed |")

	got = run(t, "mutants", names[0], "hit-is-a-miss", "--from", from, "--out", dir)
	require.Equal(t, 1, got.code)
	require.Contains(t, got.errs, "hit-is-a-miss was tried in none of "+filepath.Join(dir, names[0])+" and")

	for says, args := range map[string][]string{
		"a shard of a soak wants a --seed":           {"soak", "--shard", "1/2", "--out", dir},
		"--write writes the table of all mutants":    {"mutants", "--shard", "1/2", "--write", "--out", dir},
		`there is no mutant "put-clears-everything"`: {"mutants", "put-clears-everything", "--out", dir},
	} {
		got := run(t, args...)
		require.Equal(t, 128, got.code)
		require.Contains(t, got.errs, says)
	}
}
