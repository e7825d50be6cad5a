package hunt_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"ghostroute/harness/explore/bench"
	"ghostroute/harness/explore/check"
	"ghostroute/harness/explore/hunt"
	"ghostroute/harness/explore/plan"
	"ghostroute/harness/gateway"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, gateway.KnownLeaks()...)
}

func TestWhatCannotBeAskedForIsAnErrorThatSaysWhatCan(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, value, want string }{
		{"FIX", "tlt", `FIX is "tlt": it may be none, ttl`},
		{"CHECKS", "convergance", `CHECKS has "convergance": it may be all, or some of linearizable,own-writes,monotonic,bounded,agreement,digest,convergence,identity with commas between`},
		{"TIME", "60", `TIME is "60": it may be 30s, 10m, 1h …`},
		{"SEED", "-1", `SEED is "-1": it may be a number from 0 up`},
		{"STEPS", "0", `STEPS is "0": it may be a number from 1 to 200`},
		{"PLAN", "nowhere.txt", `PLAN is "nowhere.txt": it may be a plan in one line, or a file that holds one: open nowhere.txt: no such file or directory`},
		{"PLAN", "plan proxies=1 | reed g1 p1 k1", `PLAN is no plan: `},
	} {
		getenv := func(name string) string {
			if name == c.name {
				return c.value
			}
			return ""
		}
		_, err := hunt.ParseOptions(getenv, hunt.Options{}, "convergence", []string{"none", "ttl"})
		require.ErrorContains(t, err, c.want)
	}
}

// first hunts for the first counterexample to convergence from a seed nobody picked.
func first(t testing.TB) (f hunt.Finding) {
	checks, err := hunt.Checks("convergence")
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err = hunt.Run(ctx, hunt.Config{Bench: bench.Config{Dir: t.TempDir()}, Checks: checks, Seed: uint64(time.Now().UnixNano()), Workers: 1,
		Enough: func(g hunt.Finding) bool { f = g; return true }}, &hunt.Tally{})
	require.NoError(t, err)
	require.NotZero(t, f.Check, "a minute of plans broke nothing")
	return f
}

// BenchmarkFirstCounterexample is the median time, boot of the members included, to a shrunk and confirmed counterexample.
func BenchmarkFirstCounterexample(b *testing.B) {
	var took []float64
	most := 0
	for b.Loop() {
		began := time.Now()
		f := first(b)
		took, most = append(took, time.Since(began).Seconds()), max(most, len(f.Plan.Steps))
	}
	slices.Sort(took)
	b.ReportMetric(took[len(took)/2], "median-s")
	b.ReportMetric(took[len(took)-1], "worst-s")
	b.ReportMetric(float64(most), "steps-at-most")
}

// BenchmarkSchedules is how many random schedules of 30 steps real benches get through in a second, each of them judged.
func BenchmarkSchedules(b *testing.B) {
	checks, err := hunt.Checks("convergence")
	require.NoError(b, err)
	judged := make(chan struct{}, 1) // somebody has judged a schedule since this was last read
	judge := checks[0].Judge
	checks[0].Judge = func(r check.Record) check.Result {
		select {
		case judged <- struct{}{}:
		default:
		}
		return judge(r)
	}
	var tally hunt.Tally
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	n, began := int64(0), time.Now()
	done := make(chan error, 1)
	go func() {
		done <- hunt.Run(ctx, hunt.Config{Bench: bench.Config{Dir: b.TempDir()}, Plans: plan.Config{Steps: 45}, Checks: checks, Seed: 1,
			Once: true, Enough: func(hunt.Finding) bool { return false }}, &tally)
	}()
	for b.Loop() {
		for n++; tally.Plans.Load() < n; {
			<-judged
		}
	}
	b.ReportMetric(float64(tally.Plans.Load())/time.Since(began).Seconds(), "schedules/s")
	b.ReportMetric(float64(tally.Steps.Load())/float64(tally.Plans.Load()), "steps/schedule")
	cancel()
	require.NoError(b, <-done)
}
