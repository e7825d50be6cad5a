package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What a list of scenarios has wrong is said with its place, before anything is copied.
func TestPatchesOfAList(t *testing.T) {
	t.Parallel()
	list := filepath.Join(t.TempDir(), "list")
	out := filepath.Join(filepath.Dir(list), "out")
	for text, says := range map[string]string{
		"crash\n\ncrush\n": list + `:3: there is no scenario "crush"`,
		"\n":               list + " names no scenario",
	} {
		require.NoError(t, os.WriteFile(list, []byte(text), 0o644))
		got := run(t, "patches", "--scenarios", list, "--out", out)
		require.Equal(t, 128, got.code)
		require.Contains(t, got.errs, says)
	}
	got := run(t, "patches", "--scenarios", list, "--write", "--out", out)
	require.Equal(t, 128, got.code)
	require.Contains(t, got.errs, "--write writes the table of all scenarios")
	for flags, says := range map[string]string{
		"--integration --write": "it goes with neither --write nor --scenarios",
		"--resume":              "--resume goes on with --integration",
	} {
		got := run(t, append([]string{"patches", "--out", out}, strings.Fields(flags)...)...)
		require.Equal(t, 128, got.code)
		require.Contains(t, got.errs, says)
	}
	require.NoDirExists(t, out)
}
