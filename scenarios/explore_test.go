package scenarios

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/explore/hunt"
	"ghostroute/harness/explore/lab"
	"ghostroute/harness/explore/model"
)

// TestExploration is the explorer's part of every test run: a few fixed seeds and one from the clock, on real
// benches, with the model held to each step; and from each the stock proxy's first counterexample to convergence in a
// few steps.
func TestExploration(t *testing.T) {
	t.Parallel()
	checks, err := hunt.Checks("convergence")
	require.NoError(t, err)
	for _, seed := range []uint64{1, 2, 3, uint64(time.Now().UnixNano())} {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			ctx := begin(t)
			var found *hunt.Finding
			var tally hunt.Tally
			cfg := lab.Config{}
			var told strings.Builder
			err := hunt.Run(ctx, hunt.Config{Lab: cfg, Checks: checks, Seed: seed, Workers: 1, Dir: t.ArtifactDir(), Out: &told,
				Command: Program + " explore ", Enough: func(f hunt.Finding) bool { found = &f; return true }}, &tally)
			require.NoError(t, err)
			require.NotNil(t, found, "seed %d: %d plans broke nothing", seed, tally.Plans.Load())
			require.LessOrEqual(t, len(found.Plan.Steps), 5, "%s", found.Plan) // as 8 seeds of 20,000 are; none is longer
			t.Logf("after %v and %d plans: %s: %s",
				found.After.Round(time.Millisecond), found.Drawn, found.Cause, found.Plan.Line())
		})
	}
}

// TestFoundPlans replays every plan that was found and kept. The first line of its file, a comment, says which promise
// it breaks, under which fix and why; the stock proxy's are held to the model on the way.
func TestFoundPlans(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../fixtures/found/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	by := map[string][]string{} // the files, by fix
	for _, file := range files {
		k, err := readKept(file)
		require.NoError(t, err)
		_, err = FixNamed(k.Fix)
		require.NoError(t, err, file)
		by[k.Fix] = append(by[k.Fix], file)
	}
	turn := begin(t) // the labs': one plan at a time
	for _, f := range Fixes() {
		if len(by[f.Name]) > 0 {
			replay(turn, t, f, by[f.Name])
		}
	}
}

// replay replays the plans of a fix, on a lab of its own.
func replay(turn context.Context, t *testing.T, f Fix, files []string) {
	c := f.lab()
	if why := runsOn(t).lacks(c.Topology); why == "" {
		c.Topology = runsOn(t).topology(c.Topology)
	} // else what no process can be is tried in this one
	l, err := lab.New(c)
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			k, err := readKept(file)
			require.NoError(t, err)
			steady(turn, t, func(ctx context.Context) error {
				_, gone, err := k.run(ctx, l)
				if gone != "" {
					err = fmt.Errorf("%s\n%s", gone, k.Plan)
				}
				return err
			})
		})
	}
}

// TestFoundReadme holds fixtures/found/README.md to the plans that are kept there and to what the model knows of etcd's
// source. go test ./scenarios -run TestFoundReadme -update rewrites it.
func TestFoundReadme(t *testing.T) {
	t.Parallel()
	want, err := foundReadme()
	require.NoError(t, err)
	file, err := Fixture("found/README.md")
	require.NoError(t, err)
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(want), 0o644))
		return
	}
	got, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, want, string(got), "go test ./scenarios -run TestFoundReadme -update rewrites it")
}

func TestEveryCauseHasAFileNameAndEveryPromiseACheck(t *testing.T) {
	t.Parallel()
	for _, c := range model.Causes() {
		require.NotEmpty(t, causeNames[c], "%s", c)
	}
	for _, f := range Fixes() {
		for _, p := range f.Promises {
			_, err := hunt.Checks(p)
			require.NoError(t, err, f.Name)
		}
	}
	require.Empty(t, Fixes()[0].Promises, "the stock proxy promises nothing")
}

// TestAReplayFindsWhatAPlanBreaks is ghostroute explore FILE.
func TestAReplayFindsWhatAPlanBreaks(t *testing.T) {
	t.Parallel()
	p, err := hunt.ReadPlan("../fixtures/found/cross-proxy.txt")
	require.NoError(t, err)
	checks, err := hunt.Checks("convergence,identity")
	require.NoError(t, err)
	var said strings.Builder
	e, err := Replay(begin(t), Output{Writer: &said, Dir: t.ArtifactDir()},
		Search{Fix: Fixes()[0], Checks: checks}, p)
	require.NoError(t, err)
	require.Len(t, e.Findings, 1)
	require.Equal(t, "convergence", e.Findings[0].Check)
	require.False(t, e.Findings[0].Claimed)
	require.DirExists(t, e.Findings[0].Evidence)
	require.Contains(t, said.String(), "convergence  broken")
}
