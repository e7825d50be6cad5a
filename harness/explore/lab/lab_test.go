package lab_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.uber.org/goleak"

	"ghostroute/harness"
	"ghostroute/harness/explore"
	"ghostroute/harness/explore/lab"
	"ghostroute/harness/explore/plan"
	"ghostroute/harness/gateway"
	"ghostroute/harness/history"
	"ghostroute/harness/proxy"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, gateway.KnownLeaks()...)
}

func newLab(t testing.TB, cfg lab.Config) *lab.Lab {
	t.Helper()
	l, err := lab.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l
}

// TestTheModelAgreesWithTheBench holds the model to real members and proxies: on whatever random plans do, both say the
// same of every answer.
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
	t.Logf("seed %d: %d steps of %d plans in %v, %d of them run again, %.0f steps/s", seed, steps, plans,
		time.Since(began).Round(time.Millisecond), again, float64(steps)/time.Since(began).Seconds())
}

// TestAPlanIsRunOnceMoreWhereTheMachineWasTooBusy gives no time at all to a member that would refuse what nothing can
// write.
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

// TestAPlanIsRunOnceMoreForWhatTimeBroke: a disagreement, and what etcd gave up; with longer moments each time, and
// three times in all. Other trouble is trouble at once.
func TestAPlanIsRunOnceMoreForWhatTimeBroke(t *testing.T) {
	l := newLab(t, lab.Config{})
	over, end := context.WithCancel(t.Context())
	end()
	for _, c := range []struct {
		name  string
		ctx   context.Context
		err   error
		times int
	}{
		{"nothing", t.Context(), nil, 1},
		{"other trouble", t.Context(), rpctypes.ErrPermissionDenied, 1},
		{"no leader", t.Context(), fmt.Errorf("step 3: %w", rpctypes.ErrNoLeader), 3},
		{"disagreement", t.Context(), &explore.Disagreement{}, 3},
		{"its own end", over, rpctypes.ErrTimeout, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			var moments []time.Duration
			out, err := lab.Again(c.ctx, l, func(moment time.Duration) error {
				moments = append(moments, moment)
				return c.err
			})
			require.Equal(t, c.err, err)
			require.Len(t, moments, c.times)
			require.True(t, slices.IsSorted(moments), moments)
			require.Len(t, slices.Compact(moments), c.times)
			require.Equal(t, c.times, out.Steps, "those of each run count")
			require.Equal(t, c.times > 1, out.Again)
		})
	}
	out, err := lab.Again(t.Context(), l, func(moment time.Duration) error {
		if moment < time.Second {
			return rpctypes.ErrLeaderChanged
		}
		return nil
	})
	require.NoError(t, err)
	require.True(t, out.Again)
}

// A member answers a serializable read without its peers, however slowly: it was given up after a moment under every
// fix, and on a busy machine the two plans that refute "upgrade" kept their promises.
func TestAMemberThatIsCutOffIsWaitedForWhereItCanAnswer(t *testing.T) {
	p, err := plan.Parse("plan members=3 proxies=2 clients=1 | put g1 p1 k1 | cut m1 | delete g1 p2 k1 | read g1 m1 k1")
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	l := newLab(t, lab.Config{Topology: harness.Topology{Variant: proxy.Upgrade()}})
	lab.Hurry(l)
	seen, err := lab.Take(ctx, l, p)
	require.NoError(t, err)
	require.Empty(t, seen[3].Err)
	require.Equal(t, int64(1), seen[3].Answers[0].Count, "the member lags")
}

// TestAPlanMeansOneRun takes one random plan again and again: it is seen to do the same each time.
func TestAPlanMeansOneRun(t *testing.T) {
	l := newLab(t, lab.Config{})
	p := plan.Random(plan.Config{Verbs: []plan.Verb{plan.Read, plan.Put, plan.Delete, plan.Txn,
		plan.Grant, plan.Revoke, plan.Expire, plan.Compact,
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

// run runs a plan and gives its history.
func run(t *testing.T, text string) []history.Event {
	t.Helper()
	p, err := plan.Parse(text)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := newLab(t, lab.Config{}).Try(ctx, p, nil)
	require.NoError(t, err, p)
	return out.Events
}

// Every fault is at a node or a link that there is, is of the kind that it is, and ends: an explorer's history once had
// links "p1-m1" and leases "l1" for members, delays that were cuts, and nothing that ended but what was mended by hand.
func TestFaultsAreNamedAsNodesAndLinksAreAndEnd(t *testing.T) {
	var got []string
	for _, e := range run(t, "plan members=3 proxies=2 clients=1 | cut p1-m1 | mend p1-m1 |"+
		"blackhole p1-m1 | read g1 p1 k1 | mend p1-m1 | delay m2 5 | mend m2 | delay p2-m2 5 | register s1/a p1 |"+
		"grant m1 l1 | expire l1 | expire s1/a | read g1 vip k1 | cut g1-vip") {
		if f := e.Fault; f != nil && f.Kind != history.Hold {
			target := f.Target
			if f.Kind == history.Expire && target[0] == 'm' {
				target = "leader, " + f.Detail
			}
			got = append(got, strings.Join([]string{string(f.Kind), string(f.Op), target}, " "))
		}
	}
	require.Equal(t, []string{
		"cut fire p1→m1", "cut end p1→m1", "blackhole fire p1→m1", "blackhole end p1→m1",
		"delay fire p2→m2", "delay end p2→m2", "delay fire p2→m2", "expire fire leader, lease l1", "expire fire s1/a",
		"cut fire g1→vip", "cut end g1→vip", "delay end p2→m2",
	}, got)
}

// A lease that ends is a write that etcd makes itself; it was once prepared for the history and dropped.
func TestALeaseThatEndsIsRecorded(t *testing.T) {
	events := run(t, "plan members=1 proxies=1 clients=1 | grant m1 l1 | put g1 p1 k1 lease=l1 | expire l1")
	var revoked, gone int64
	for _, e := range events {
		if e.Write != nil && e.Write.Op == "revoke" {
			require.Equal(t, "m1 m1", e.Who+" "+e.Write.Via)
			require.Zero(t, revoked, "recorded once")
			revoked = e.Write.Revision
		}
		if e.Commit != nil && e.Commit.Op == "delete" && e.Commit.Key == "k1" {
			gone = e.Commit.Revision
		}
	}
	require.NotZero(t, revoked)
	require.Equal(t, gone, revoked)
}

func observed(t *testing.T, text string) []plan.Observation {
	t.Helper()
	p, err := plan.Parse(text)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	seen, err := lab.Take(ctx, newLab(t, lab.Config{}), p)
	require.NoError(t, err)
	return seen
}

// What goes into a black hole is lost without a word: a cached answer is still told, a miss is given up, and once it is
// mended all is as before.
func TestABlackholeIsASilentCut(t *testing.T) {
	seen := observed(t, "plan members=1 proxies=1 clients=1 | put g1 p1 k1 | read g1 p1 k1 | blackhole p1-m1 |"+
		"read g1 p1 k1 | put g1 p1 k1 | put g1 m1 k1 | read g1 p1 k1 | mend p1-m1 | read g1 p1 k1")
	require.Equal(t, history.Hit, seen[3].Answers[0].Source)
	require.Equal(t, plan.ErrUnavailable, seen[4].Err, "the put clears the entry and comes nowhere")
	require.Equal(t, plan.ErrUnavailable, seen[6].Err)
	require.Equal(t, "6", seen[8].Answers[0].KVs[0].Value)
}

// A proxy is told to ask a member that it has no connection to, and gets none: there is a black hole between them.
func TestAProxyIsNarrowedToAMemberBehindABlackhole(t *testing.T) {
	seen := observed(t, "plan members=3 proxies=1 clients=1 | narrow p1 m1 | blackhole p1-m2 | narrow p1 m2 |"+
		"read g1 p1 k1 | mend p1-m2 | read g1 p1 k1")
	require.Equal(t, plan.ErrUnavailable, seen[3].Err)
	require.Empty(t, seen[5].Err)
}

// A member stops and starts behind a black hole, however far the connection was that the hole caught.
func TestAMemberIsRebootedBehindABlackhole(t *testing.T) {
	began := time.Now()
	run(t, "plan members=3 proxies=2 clients=1 | read g1 p1 k1 | blackhole p1-m1 | blackhole p2-m1 | reboot m1 |"+
		"put g1 p2 k1 | mend p1-m1 | read g1 p1 k1")
	require.Less(t, time.Since(began), 20*time.Second)
}
