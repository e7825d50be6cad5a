package scenarios

import (
	"cmp"
	"flag"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness"
)

var update = flag.Bool("update", false, "rewrite the files that are written from what is known")

// TestMatrix tries every scenario against every fix, in both readings, and compares each verdict with the expected one.
// go test ./scenarios -run 'TestMatrix/<scenario>/<fix>' -v runs one cell and prints its evidence.
func TestMatrix(t *testing.T) {
	t.Parallel()
	expected, err := ReadExpected()
	require.NoError(t, err)
	m, err := NewMatrix(expected, t.ArtifactDir())
	require.NoError(t, err)
	t.Cleanup(func() { // when every cell has ended
		require.NoError(t, m.Close())
		for _, again := range m.Again() {
			fmt.Println(again)
		}
	})
	seconds, err := readSeconds()
	require.NoError(t, err)
	all := All() // the longest first: what is begun last is done last
	slices.SortStableFunc(all, func(a, b Scenario) int { return cmp.Compare(seconds[b.Name], seconds[a.Name]) })
	for _, s := range all {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			for _, f := range Fixes() {
				t.Run(f.Name, func(t *testing.T) {
					t.Parallel()
					ctx, cancel := harness.Context(t)
					defer cancel()
					cell, moved, err := m.Cell(ctx, s, f)
					require.NoError(t, err)
					for _, r := range cell.Readings {
						t.Logf("%s: %s%s", r.Name, r.Verdict, Evidence(r.Verdict))
					}
					for _, m := range moved {
						t.Error(m)
					}
				})
			}
		})
	}
}
