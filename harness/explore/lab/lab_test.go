package lab_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"ghostroute/harness/explore/lab"
	"ghostroute/harness/explore/plan"
	"ghostroute/harness/gateway"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, gateway.KnownLeaks()...)
}

func newLab(t testing.TB, cfg lab.Config) *lab.Lab {
	t.Helper()
	cfg.Dir = t.TempDir()
	l, err := lab.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l
}

// TestTheModelAgreesWithTheBench holds the model to real members and proxies: on whatever random plans do, both say the same of every
// answer.
func TestTheModelAgreesWithTheBench(t *testing.T) {
	const long = 2 * time.Second // ghostroute agree goes on for longer
	seed := uint64(time.Now().UnixNano())
	l := newLab(t, lab.Config{})
	ctx, cancel := context.WithTimeout(t.Context(), long+time.Minute)
	defer cancel()
	steps, plans, again := 0, 0, 0
	began := time.Now()
	for i := uint64(0); time.Since(began) < long; i++ {
		p := plan.Random(plan.Config{Auth: i%4 == 0}, seed+i)
		out, err := l.Try(ctx, p, nil)
		steps, plans = steps+out.Steps, plans+1
		if out.Again {
			again++
		}
		require.NoError(t, err, "%s\nPLAN='%s'", p, p.Line())
	}
	t.Logf("seed %d: %d steps of %d plans in %v, %d of them run again, %.0f steps/s: %+v", seed, steps, plans, time.Since(began).Round(time.Millisecond), again,
		float64(steps)/time.Since(began).Seconds(), l.Clock)
	for v, s := range l.Clock.Verbs {
		t.Logf("%-12s %6d times %10v in all", v, s.N, s.Took.Round(time.Millisecond))
	}
}

// TestAPlanIsRunOnceMoreWhereTheMachineWasTooBusy gives no time at all to a member that would refuse what nobody can write.
func TestAPlanIsRunOnceMoreWhereTheMachineWasTooBusy(t *testing.T) {
	l := newLab(t, lab.Config{})
	p, err := plan.Parse("plan members=3 proxies=1 clients=1 | put g1 p1 k1 | cut m1 | txn g1 p1 then put k1 ; put k1")
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	lab.Hurry(l)
	out, err := l.Try(ctx, p, nil)
	require.NoError(t, err)
	require.True(t, out.Again)
}

// TestAPlanMeansOneRun takes one random plan again and again: it is seen to do the same each time.
func TestAPlanMeansOneRun(t *testing.T) {
	l := newLab(t, lab.Config{})
	p := plan.Random(plan.Config{Verbs: []plan.Verb{plan.Read, plan.Put, plan.Delete, plan.Txn, plan.Grant, plan.Revoke, plan.Expire, plan.Compact,
		plan.Release, plan.Fail, plan.Cut, plan.Mend, plan.Narrow, plan.Register, plan.Resolve}}, 7)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var first []plan.Observation
	for i := range 50 {
		seen, err := lab.Take(ctx, l, p)
		require.NoError(t, err, "run %d: %s", i+1, p)
		if first == nil {
			first = seen
		}
		require.Equal(t, first, seen, "run %d", i+1)
	}
}
