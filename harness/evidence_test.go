package harness_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness"
)

func TestEvidenceIsKeptBesideTheModulesOther(t *testing.T) {
	t.Parallel()
	dir := harness.Evidence(t)
	require.NoDirExists(t, dir, "nothing has failed yet")
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	in, err := filepath.Rel(filepath.Join(root, "artifacts", "test"), dir)
	require.NoError(t, err)
	require.Regexp(t, `^`+t.Name()+`-\d`, in)
	require.NotEqual(t, dir, harness.Evidence(t), "what was there before is never written over")
}

func TestWhatWasTriedAgainIsKept(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.WriteFile("go.mod", nil, 0o644))
	harness.Again(t, "a cell was tried again: it was late")
	harness.Again(t, "another")
	kept, err := os.ReadFile(filepath.Join("artifacts", "test", "again.txt"))
	require.NoError(t, err)
	require.Equal(t, "a cell was tried again: it was late\nanother\n", string(kept))
}
