package hunt_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"ghostroute/harness/explore"
	"ghostroute/harness/explore/check"
	"ghostroute/harness/explore/hunt"
	"ghostroute/harness/explore/lab"
	"ghostroute/harness/explore/plan"
	"ghostroute/harness/gateway"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, gateway.KnownLeaks()...)
}

func TestWhatCannotBeAskedForIsAnErrorThatSaysWhatCan(t *testing.T) {
	t.Parallel()
	_, err := hunt.Checks("digest,convergance")
	require.EqualError(t, err, `there is no check "convergance": did you mean "convergence"? There are `+
		`all, linearizable, own-writes, monotonic, bounded, agreement, digest, convergence, identity, `+
		`delivery, own-range, meeting, reason, leader and ahead`)
	_, err = hunt.Checks("")
	require.ErrorContains(t, err, `there is no check "": there are all, `)
	checks, err := hunt.Checks("identity,digest")
	require.NoError(t, err)
	require.Len(t, checks, 2)

	_, err = hunt.ReadPlan("nowhere.txt")
	require.ErrorContains(t, err,
		`"nowhere.txt" is neither a plan in one line (plan … | step | step) nor a file that holds one`)
	_, err = hunt.ReadPlan("plan proxies=1 | reed g1 p1 k1")
	require.ErrorContains(t, err, `"reed" is nothing a step can do`)
	file := filepath.Join(t.TempDir(), "plan.txt")
	require.NoError(t, os.WriteFile(file, []byte("read g1 p1 k1\nput g1 p9 k1\n"), 0o644))
	_, err = hunt.ReadPlan(file)
	require.ErrorContains(t, err, file+": line 2")
}

// Evidence is never overwritten: what is found again is put beside it.
func TestEvidenceIsKeptBesideEarlierEvidence(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "replay")
	for i, want := range []string{dir, dir + "-2", dir + "-3"} {
		folder, err := hunt.Save(dir, lab.Outcome{Plan: plan.Default()}, fmt.Sprint(i))
		require.NoError(t, err)
		require.Equal(t, want, folder)
	}
	text, err := os.ReadFile(filepath.Join(dir, "verdict.txt"))
	require.NoError(t, err)
	require.Equal(t, "0\n", string(text))
}

func TestADisagreementIsEvidenceToo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p, err := plan.Parse("plan seed=7 members=1 proxies=1 clients=1 | read g1 p1 k1")
	require.NoError(t, err)
	d := &explore.Disagreement{Number: 1, Step: p.Steps[0], Why: "this, not that"}
	for _, folder := range []string{"disagreement-7", "disagreement-7-2"} {
		err := hunt.SaveDisagreement(dir, lab.Outcome{Plan: p}, d)
		require.ErrorIs(t, err, d)
		require.ErrorContains(t, err, "evidence: "+filepath.Join(dir, folder))
		require.FileExists(t, filepath.Join(dir, folder, "plan.txt"))
	}
	require.Equal(t, context.Canceled, hunt.SaveDisagreement(dir, lab.Outcome{Plan: p}, context.Canceled))
	require.Equal(t, error(d), hunt.SaveDisagreement("", lab.Outcome{Plan: p}, d))
}

// first hunts for the first counterexample to convergence from a seed of the clock.
func first(t testing.TB) (f hunt.Finding) {
	checks, err := hunt.Checks("convergence")
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err = hunt.Run(ctx, hunt.Config{Lab: lab.Config{}, Checks: checks, Seed: uint64(time.Now().UnixNano()), Workers: 1,
		Enough: func(g hunt.Finding) bool { f = g; return true }}, &hunt.Tally{})
	require.NoError(t, err)
	require.NotZero(t, f.Check, "a minute of plans broke nothing")
	return f
}

// BenchmarkFirstCounterexample is the median time, boot of the members included, to a shrunk and confirmed
// counterexample.
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

// BenchmarkSchedules is how many random schedules of 30 steps real benches get through in a second, each of them
// judged.
func BenchmarkSchedules(b *testing.B) {
	checks, err := hunt.Checks("convergence")
	require.NoError(b, err)
	judged := make(chan struct{}, 1) // a schedule was judged since this was last read
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
		done <- hunt.Run(ctx, hunt.Config{Lab: lab.Config{}, Plans: plan.Config{Steps: 45}, Checks: checks, Seed: 1,
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
