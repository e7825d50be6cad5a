package scratch_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/scratch"
)

// A folder goes that has a run's file which nobody holds; one that is held stays, and so does what only looks like one.
func TestWhatNobodyHoldsIsRemovedAndNothingElse(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	held, remove, err := scratch.Folder()
	require.NoError(t, err)
	left := func() (names []string) {
		entries, err := os.ReadDir(tmp)
		require.NoError(t, err)
		for _, e := range entries {
			names = append(names, filepath.Join(tmp, e.Name()))
		}
		return names
	}
	dead, backup := filepath.Join(tmp, "ghostroute-1-x-2"), filepath.Join(tmp, "ghostroute-99999999-backup")
	require.NoError(t, os.MkdirAll(filepath.Join(dead, "m1", "member"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dead, ".running"), nil, 0o600))
	require.NoError(t, os.Mkdir(backup, 0o755)) // what it had for a name would once have been its death

	other, removeOther, err := scratch.Folder()
	require.NoError(t, err)
	require.ElementsMatch(t, []string{held, other, backup}, left())
	require.NoError(t, removeOther())
	require.NoError(t, remove())
	require.Equal(t, []string{backup}, left())

	_, _, err = scratch.Folder()
	require.NoError(t, err)
	require.Len(t, left(), 2)
	scratch.Abandon()
	require.Equal(t, []string{backup}, left())
}
