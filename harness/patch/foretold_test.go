package patch_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/mutant"
	"ghostroute/harness/patch"
)

// The table that is written is the one that foretells, and what differs from it is named, either way.
func TestWhatIsForetold(t *testing.T) {
	t.Parallel()
	move := func(scenario, reading, verdict string) mutant.Move {
		return mutant.Move{Scenario: scenario, Fix: "none", Reading: reading, Verdict: verdict}
	}
	p, err := patch.Parse("0001-c", whole)
	require.NoError(t, err)
	off := patch.Step{Patch: p}
	on := patch.Step{Patch: p, On: true, Moved: []mutant.Move{move("a", "each-request", "fresh"),
		move("a", "go-micro", "fresh"), move("b", "each-request", "heals ghost"), move("c", "beyond", "kept")}}
	foretold, err := patch.ReadForetold("# Page\n\n" + patch.Table([]patch.Step{off, on}, []string{"d/none/beyond"}))
	require.NoError(t, err)
	require.Equal(t, patch.Foretold{"0001-c": {},
		"0001-c, turned on": {"a: fresh", "b: heals ghost", "c: kept"}}, foretold)
	require.Empty(t, off.Differs(foretold, nil, nil))
	require.Empty(t, on.Differs(foretold, nil, nil))

	less := on
	less.Moved = on.Moved[:3]
	require.Equal(t, "0001-c, turned on: foretold and not so: c: kept", less.Differs(foretold, nil, nil))
	require.Empty(t, less.Differs(foretold, []string{"a", "b"}, nil), "what was not tried is not missing")
	require.Empty(t, less.Differs(foretold, nil, []string{"c/none/beyond"}), "two runs differ in it")
	other := on
	other.Moved = append([]mutant.Move{move("b", "each-request", "fresh")}, on.Moved[0], on.Moved[3])
	require.Equal(t, "0001-c, turned on: foretold and not so: b: heals ghost. not foretold: b: fresh",
		other.Differs(foretold, nil, nil))
	off.Moved = on.Moved[:2]
	require.Equal(t, "0001-c: not foretold: a: fresh", off.Differs(foretold, nil, nil))
	require.Contains(t, off.Differs(patch.Foretold{}, nil, nil), "0001-c: nothing was foretold of it")
	_, err = patch.ReadForetold("# Page\n")
	require.ErrorContains(t, err, "no table")
	_, err = patch.ReadForetold("| 0001-c | do c | 1 cell | fresh: a |\n")
	require.ErrorContains(t, err, `line 1: "fresh: a" is not a verdict in bold`)
}

// The page of the repository foretells each step of its series.
func TestTheSeriesIsForetold(t *testing.T) {
	t.Parallel()
	dir := filepath.Join("..", "..", "fixtures", "patches")
	all, err := patch.ReadAll(dir)
	require.NoError(t, err)
	page, err := os.ReadFile(filepath.Join(dir, "README.md"))
	require.NoError(t, err)
	foretold, err := patch.ReadForetold(string(page))
	require.NoError(t, err)
	steps := 0
	for _, p := range all {
		require.Contains(t, foretold, p.Name)
		if steps++; p.HasSwitch() {
			steps++
			require.NotEmpty(t, foretold[p.Name+", turned on"])
		}
	}
	require.Len(t, foretold, steps)
}
