package scenarios

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/report"
)

func TestAShardIsReadAsJobsNameIt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text, index string
		want        Shard
		says        string
	}{
		{"2/4", "", Shard{2, 4}, ""},
		{"2/4", "3", Shard{2, 4}, ""},
		{"4", "3", Shard{4, 4}, ""},
		{"4", "0", Shard{1, 4}, ""},
		{"4", "4", Shard{}, `no part where JOB_COMPLETION_INDEX is "4"`},
		{"4", "", Shard{}, "it may be I/N, or N where JOB_COMPLETION_INDEX says which"},
		{"0/4", "", Shard{}, "it may be 1/N to N/N"},
		{"two/4", "", Shard{}, "it may be 1/N to N/N"},
	} {
		got, err := ReadShard(c.text, c.index)
		require.Equal(t, c.want, got, c.text)
		if c.says != "" {
			require.ErrorContains(t, err, c.says)
			continue
		}
		require.NoError(t, err)
	}
}

// TestShardsAreEvenAndWhole deals the whole matrix to one machine and to seven.
func TestShardsAreEvenAndWhole(t *testing.T) {
	t.Parallel()
	seconds, err := readSeconds()
	require.NoError(t, err)
	for of := 1; of <= 7; of++ {
		has, least, most := map[int]int{}, 1e9, 0.0
		for i := 1; i <= of; i++ {
			mine, err := Shard{i, of}.cells(All(), Fixes())
			require.NoError(t, err)
			takes := 0.0
			for _, cell := range mine {
				has[cell]++
				takes += weight(seconds, All()[cell/len(Fixes())], Fixes()[cell%len(Fixes())])
			}
			least, most = min(least, takes), max(most, takes)
		}
		require.Len(t, has, len(All())*len(Fixes()))
		for cell, n := range has {
			require.Equal(t, 1, n, cell)
		}
		require.Less(t, most-least, 0.02*most, "%d shards take %.1f s to %.1f s", of, least, most)
	}
}

// Shares are of all there is, and no more; seeds of two shards are far apart.
func TestSharesAreEvenAndWhole(t *testing.T) {
	t.Parallel()
	require.True(t, Shard{}.Has(7))
	require.Equal(t, 7, Shard{}.Share(7))
	require.Equal(t, uint64(7), Shard{}.Seed(7))
	for of := 1; of <= 7; of++ {
		for n := range 20 {
			shares, seeds := 0, map[uint64]bool{}
			for i := 1; i <= of; i++ {
				s, has := Shard{i, of}, 0
				for j := range n {
					if s.Has(j) {
						has++
					}
				}
				require.Equal(t, has, s.Share(n), "%s of %d", s, n)
				shares += has
				seeds[s.Seed(7)>>40] = true
			}
			require.Equal(t, n, shares)
			require.Len(t, seeds, of)
		}
	}
}

// TestMergedIsWhatOneRunIs splits a run as three machines would have made it and merges what each has written.
func TestMergedIsWhatOneRunIs(t *testing.T) {
	t.Parallel()
	scenarios, fixes := All()[:3], Fixes()[:4]
	whole := report.Run{Schema: report.Schema, Title: "t", Took: 9 * time.Second,
		Scenarios: rows(scenarios), Fixes: columns(fixes)}
	whole.Fixes[2].Costs = &report.Costs{Note: "measured by one"}
	for _, s := range scenarios {
		for _, f := range fixes {
			r := report.Labelled(string(Readings[0]), "stale ghost")
			r.News, r.Again = "it moved", []string{"too late"}
			whole.Cells = append(whole.Cells, report.Cell{Scenario: s.Name, Fix: f.Name, Readings: []report.Reading{r}})
		}
	}
	var dirs []string
	for i := 1; i <= 3; i++ {
		part := whole
		part.Shard, part.Cells, part.Fixes = Shard{i, 3}.String(), nil, columns(fixes)
		part.Took -= time.Duration(i-1) * time.Second
		if i == 2 {
			part.Fixes[2].Costs = whole.Fixes[2].Costs
		}
		mine, err := Shard{i, 3}.cells(scenarios, fixes)
		require.NoError(t, err)
		require.NotEmpty(t, mine)
		for _, cell := range mine {
			part.Cells = append(part.Cells, whole.Cells[cell])
		}
		dirs = append(dirs, wrote(t, part))
	}
	merged, missing, err := Merge([]string{dirs[2], dirs[0], dirs[1]})
	require.NoError(t, err)
	require.Empty(t, missing)
	require.Equal(t, whole, merged)

	merged, missing, err = Merge(dirs[1:2])
	require.NoError(t, err)
	require.Equal(t, []string{"1/3", "3/3"}, missing)
	require.Less(t, len(merged.Cells), len(whole.Cells))

	_, _, err = Merge([]string{dirs[0], dirs[0]})
	require.ErrorContains(t, err, "has shard 1/3, and so has another folder")
	_, _, err = Merge([]string{wrote(t, whole)})
	require.ErrorContains(t, err, "has no shard's report")
	other := whole
	other.Shard, other.Go = "2/3", "go9"
	_, _, err = Merge([]string{dirs[0], wrote(t, other)})
	require.ErrorContains(t, err, "of another run")
	cut := whole
	cut.Shard, cut.Cells = "1/1", whole.Cells[1:]
	_, _, err = Merge([]string{wrote(t, cut)})
	require.ErrorContains(t, err, "every shard is there, and 1 of their cells are not")
}

func wrote(t *testing.T, run report.Run) string {
	t.Helper()
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "matrix.json"))
	require.NoError(t, err)
	require.NoError(t, report.JSON(f, run))
	require.NoError(t, f.Close())
	return dir
}
