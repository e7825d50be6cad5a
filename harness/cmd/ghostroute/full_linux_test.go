package main_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAFullDiskIsSaidInOneLine writes to the device that is always full.
func TestAFullDiskIsSaidInOneLine(t *testing.T) {
	t.Parallel()
	got := run(t, "matrix", "--scenario", "deregister-same", "--fix", "none", "--out", t.TempDir(), "--junit", "/dev/full")
	require.Equal(t, 2, got.code, got.out)
	require.Equal(t, "ghostroute: what a run writes could not be kept: write /dev/full: no space left on device: "+
		"make room there, or name another folder: --out for what is kept, TMPDIR for the members' data\n", got.errs)
	require.Equal(t, 1, strings.Count(got.errs, "\n"))
}
