package scenarios

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ghostroute/harness"
	"ghostroute/harness/explore/check"
	"ghostroute/harness/explore/hunt"
	"ghostroute/harness/explore/lab"
	"ghostroute/harness/explore/model"
	"ghostroute/harness/explore/plan"
)

const foundDir = "../fixtures/found"

// asked says which of the explorer's commands make was told: explore, soak or claims; "" where none was.
func asked() string { return os.Getenv("GHOSTROUTE_EXPLORER") }

// options are what the user said.
type options struct {
	Fix    Fix
	Checks []check.Check
	Time   time.Duration
	Seed   uint64
	Steps  int
	Plan   *plan.Plan
}

// optionsFrom reads the variables of the environment, with these defaults for those that are not given.
func optionsFrom(t *testing.T, checks string, long time.Duration) (o options) {
	t.Helper()
	get := func(name, otherwise string) string { return cmp.Or(os.Getenv(name), otherwise) }
	var err error
	o.Fix, err = FixNamed(get("FIX", "none"))
	require.NoError(t, err)
	o.Checks, err = hunt.Checks(get("CHECKS", checks))
	require.NoError(t, err)
	o.Time, err = time.ParseDuration(get("TIME", long.String()))
	require.NoError(t, err, "TIME may be 30s, 10m, 1h …")
	o.Seed, err = strconv.ParseUint(get("SEED", fmt.Sprint(time.Now().UnixNano())), 10, 64)
	require.NoError(t, err, "SEED may be a number from 0 up")
	o.Steps, err = strconv.Atoi(get("STEPS", "30"))
	require.NoError(t, err, "STEPS may be a number from 1 to %d", plan.MaxSteps)
	if v := os.Getenv("PLAN"); v != "" {
		p, err := hunt.ReadPlan(v)
		require.NoError(t, err)
		o.Plan = &p
	}
	return o
}

// lasting is a test's context that ends after d, too, without that being a failure.
func lasting(t *testing.T, d time.Duration) (ctx, all context.Context) {
	all, cancel := harness.Context(t)
	t.Cleanup(cancel)
	ctx, end := context.WithTimeout(all, d)
	t.Cleanup(end)
	return ctx, all
}

func newLab(t testing.TB, cfg lab.Config) *lab.Lab {
	t.Helper()
	cfg.Dir = t.TempDir()
	l, err := lab.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l
}

// artifacts is where evidence goes: GHOSTROUTE_ARTIFACTS, or the test's own folder.
func artifacts(t *testing.T, name string) string {
	dir := os.Getenv("GHOSTROUTE_ARTIFACTS")
	if dir == "" {
		dir = t.ArtifactDir()
	}
	dir = filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(dir, 0o755))
	return dir
}

// TestExplore is `make explore`: it replays PLAN, or hunts for a plan that breaks one of CHECKS under FIX for TIME from SEED on. A promise
// that the fix claims and that is broken fails the test.
func TestExplore(t *testing.T) {
	if asked() != "explore" {
		t.Skip("make explore runs it")
	}
	o := optionsFrom(t, "convergence", time.Minute)
	f := o.Fix
	dir := artifacts(t, "explore")
	claimed := Claims()[f.Name]
	command := fmt.Sprintf("make explore FIX=%s CHECKS=%s", f.Name, names(o.Checks))
	if o.Plan != nil {
		ctx, _ := lasting(t, 5*time.Minute)
		fmt.Printf("%s\n", o.Plan)
		out, folder, err := hunt.Replay(ctx, hunt.Config{Lab: f.Bench(), Checks: o.Checks, Dir: dir}, *o.Plan)
		require.NoError(t, err)
		for _, r := range out.Results {
			if r.Outcome == check.Broken && slices.Contains(claimed, r.Check) {
				t.Errorf("%s claims %s: %v", f.Name, r.Check, r.Error())
			}
		}
		fmt.Printf("%sevidence: %s\n", hunt.Verdict(out.Results), folder)
		return
	}
	fmt.Printf("%s TIME=%v SEED=%d\n", command, o.Time, o.Seed)
	ctx, all := lasting(t, o.Time)
	var tally hunt.Tally
	cfg := f.Bench()
	cfg.Dir = t.TempDir()
	identity := slices.ContainsFunc(o.Checks, func(c check.Check) bool { return c.Name == "identity" })
	err := hunt.Run(ctx, hunt.Config{Lab: cfg, Plans: plan.Config{Steps: o.Steps}, Mixed: identity, Checks: o.Checks, Seed: o.Seed, Dir: dir,
		Command: command + " PLAN=", Out: os.Stdout, Enough: func(found hunt.Finding) bool {
			if slices.Contains(claimed, found.Check) {
				t.Errorf("%s claims %s, and it is refuted: %v", f.Name, found.Check, found.Why)
			}
			return true
		}}, &tally)
	require.NoError(t, err)
	fmt.Printf("%d schedules, %d steps, %d findings\n", tally.Plans.Load(), tally.Steps.Load(), tally.Findings.Load())
	if all.Err() != nil {
		fmt.Println("interrupted")
	}
}

func names(checks []check.Check) string {
	var list []string
	for _, c := range checks {
		list = append(list, c.Name)
	}
	return strings.Join(list, ",")
}

// TestExploration is the explorer's part of every test run: a few fixed seeds and one that nobody picked, on real benches, with the model
// held to each step; and from each the stock proxy's first counterexample to convergence in a few steps.
func TestExploration(t *testing.T) {
	t.Parallel()
	checks, err := hunt.Checks("convergence")
	require.NoError(t, err)
	for _, seed := range []uint64{1, 2, 3, uint64(time.Now().UnixNano())} {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			ctx, _ := lasting(t, time.Minute)
			var found *hunt.Finding
			var tally hunt.Tally
			cfg := lab.Config{Dir: t.TempDir()}
			var told strings.Builder
			err := hunt.Run(ctx, hunt.Config{Lab: cfg, Checks: checks, Seed: seed, Workers: 1, Dir: t.ArtifactDir(), Out: &told,
				Command: "make explore PLAN=", Enough: func(f hunt.Finding) bool { found = &f; return true }}, &tally)
			require.NoError(t, err)
			require.NotNil(t, found, "seed %d: %d plans broke nothing", seed, tally.Plans.Load())
			require.LessOrEqual(t, len(found.Plan.Steps), 4, "%s", found.Plan)
			t.Logf("after %v and %d plans: %s: %s", found.After.Round(time.Millisecond), found.Drawn, found.Cause, found.Plan.Line())
		})
	}
}

// TestFoundPlans replays every plan that was found and kept. The first line of its file, a comment, says which promise it breaks, under
// which fix and why; the stock proxy's are held to the model on the way.
func TestFoundPlans(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(foundDir + "/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	labs := map[string]*lab.Lab{}
	whole := t
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			k := readKept(t, file)
			f, err := FixNamed(k.Fix)
			require.NoError(t, err)
			checks, err := hunt.Checks(k.Check)
			require.NoError(t, err)
			ctx, _ := lasting(t, time.Minute)
			if labs[f.Name] == nil {
				labs[f.Name] = newLab(whole, f.Bench())
			}
			out, err := labs[f.Name].Try(ctx, k.Plan, checks)
			require.NoError(t, err)
			require.Equal(t, check.Broken, out.Results[0].Outcome, "%s is kept now, where it was broken because of %s: %s\n%s",
				k.Check, k.Cause, out.Results[0].Why, k.Plan)
			if k.Fix == "none" && k.Cause != "" {
				list, err := model.Explain(k.Plan)
				require.NoError(t, err)
				require.True(t, slices.ContainsFunc(list, func(f model.Finding) bool { return string(f.Cause) == k.Cause }), "%v", list)
			}
		})
	}
}
