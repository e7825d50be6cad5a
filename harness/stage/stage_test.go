package stage_test

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"

	"ghostroute/harness/etcd"
	"ghostroute/harness/hangup"
	"ghostroute/harness/history"
	"ghostroute/harness/onreal"
	"ghostroute/harness/program"
	"ghostroute/harness/proxy"
	"ghostroute/harness/stage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, hangup.KnownLeaks()...) }

// started is a stage of these members with two stock proxies behind a balancer.
func started(t *testing.T, members int) (context.Context, *stage.Stage) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	h := history.New()
	c, err := etcd.Start(ctx, etcd.Config{Members: members, Dir: t.TempDir(), History: h,
		Programs: program.Alike(onreal.Program(t))})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	s := stage.New(h, c)
	s.Program = onreal.Program(t)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	for _, name := range []string{"p1", "p2"} {
		_, err := s.StartProxy(ctx, name, proxy.Stock())
		require.NoError(t, err)
	}
	require.NoError(t, s.StartBalancer(ctx, nil, false))
	return ctx, s
}

// writes are the operations recorded since the history had n events, with what they passed.
func writes(s *stage.Stage, n int) (list []string) {
	for _, e := range s.History.Since(n) {
		if e.Write != nil {
			list = append(list, e.Who+" "+e.Write.Op+" via "+e.Write.Via)
		}
	}
	return list
}

func faults(s *stage.Stage, n int) (list []string) {
	for _, e := range s.History.Since(n) {
		if f := e.Fault; f != nil {
			list = append(list, string(f.Kind)+" "+string(f.Op)+" "+f.Target)
		}
	}
	return list
}

// Each write is recorded once, by whichever client and at whichever node: a scenario, a notebook or a plan adds nothing
// to it.
func TestEveryWriteIsRecordedOnce(t *testing.T) {
	t.Parallel()
	ctx, s := started(t, 1)
	at, err := s.At(ctx, "p2")
	require.NoError(t, err)
	member, err := s.At(ctx, "m1")
	require.NoError(t, err)
	ops, err := s.Client(ctx, stage.Operator)
	require.NoError(t, err)
	seen := s.History.Len()

	lease, err := at.Grant(ctx, 60)
	require.NoError(t, err)
	put, err := at.Put(ctx, "k", "v", clientv3.WithLease(lease.ID))
	require.NoError(t, err)
	_, err = s.Revoke(ctx, ops, "k")
	require.NoError(t, err)
	_, err = ops.Compact(ctx, put.Header.Revision)
	require.NoError(t, err)
	_, err = member.Txn(ctx).Then(clientv3.OpTxn(nil, []clientv3.Op{clientv3.OpDelete("inside")}, nil)).Commit()
	require.NoError(t, err)
	_, err = member.Delete(ctx, "k", clientv3.WithPrefix())
	require.NoError(t, err)
	require.Equal(t, []string{"ops grant via p2", "ops put via p2", "ops revoke via ", "ops compact via p1",
		"ops txn via m1",
		"ops delete via m1"}, writes(s, seen))
	for _, e := range s.History.Since(seen) {
		if e.Write != nil && e.Write.Op == "txn" {
			require.Equal(t, "inside", e.Write.Key, "a transaction is named after what it changes, inside it too")
		}
	}
	_, err = s.Revoke(ctx, ops, "k")
	require.EqualError(t, err, "k has no lease")
}

// A cut, a black hole and a delay are told link by link, and Mend ends what there was.
func TestFaultsOfLinksActAndRecordThemselves(t *testing.T) {
	t.Parallel()
	ctx, s := started(t, 1)
	c, err := s.At(ctx, "p1")
	require.NoError(t, err)
	read := func(within time.Duration) error {
		ctx, cancel := context.WithTimeout(ctx, within)
		defer cancel()
		_, err := c.Get(ctx, "k")
		return err
	}
	require.NoError(t, read(10*time.Second))
	seen := s.History.Len()

	require.NoError(t, s.Cut(ctx, "p1"))
	require.NoError(t, s.Reached(ctx, "p1"), "it has noticed that it has no member")
	require.Error(t, read(50*time.Millisecond))
	cut, _, _ := s.Proxy("p1").Link("m1").Broken()
	require.True(t, cut)
	require.NoError(t, s.Mend(ctx, "p1"))
	require.NoError(t, s.Reached(ctx, "p1"))
	require.NoError(t, read(10*time.Second))

	require.NoError(t, s.Blackhole(ctx, "p1", "m1"))
	require.ErrorIs(t, read(50*time.Millisecond), context.DeadlineExceeded, "nothing refuses, and nothing answers")
	require.NoError(t, s.Mend(ctx, "p1"))
	require.NoError(t, s.Delay(ctx, time.Millisecond, "p1"))
	require.NoError(t, s.Delay(ctx, 0, "p1"))
	require.NoError(t, s.Mend(ctx, "p1"), "what is not broken needs no mending, and is not told")
	require.NoError(t, read(10*time.Second))
	require.Equal(t, []string{"cut fire p1→m1", "cut end p1→m1", "blackhole fire p1→m1",
		"blackhole end p1→m1", "delay fire p1→m1",
		"delay end p1→m1"}, faults(s, seen))

	require.ErrorContains(t, s.Cut(ctx, "p1", "m2"), "p1 has no way to one of [m2]")
	require.ErrorContains(t, s.Cut(ctx, "g9"), "g9 has no way to anything")
}

// A member that leads hands over before it is cut off, and is caught up when it has rejoined.
func TestAMemberIsCutOffAndRejoins(t *testing.T) {
	t.Parallel()
	ctx, s := started(t, 3)
	lead, err := s.Cluster.Leader(ctx)
	require.NoError(t, err)
	require.NoError(t, s.CutOff(ctx, lead.Name))
	next, err := s.Cluster.Leader(ctx)
	require.NoError(t, err)
	require.NotEqual(t, lead, next)
	c, err := s.At(ctx, next.Name)
	require.NoError(t, err)
	put, err := c.Put(ctx, "k", "v")
	require.NoError(t, err)
	require.Less(t, lead.Applied(), put.Header.Revision)
	require.NoError(t, s.Rejoin(ctx, lead.Name))
	require.Equal(t, put.Header.Revision, lead.Applied())

	narrowed := s.History.Len()
	require.NoError(t, s.Narrow(ctx, "p1", lead.Name))
	require.Equal(t, []string{"narrow fire p1"}, faults(s, narrowed))
	p1, err := s.At(ctx, "p1")
	require.NoError(t, err)
	seen := s.History.Len()
	_, err = p1.Get(ctx, "k", clientv3.WithSerializable())
	require.NoError(t, err)
	for _, e := range s.History.Since(seen) {
		if e.Range != nil {
			require.Equal(t, lead.Name, e.Range.Member, "it asks the one member that it was narrowed to")
		}
	}
	require.ErrorContains(t, s.CutOff(ctx, "m9"), `there is no member "m9"`)
}

// A client whose connection was dropped dials again at once: a client of etcd's alone waits a second where its first
// dial is refused.
func TestReconnectGoesToTheNextProxy(t *testing.T) {
	t.Parallel()
	ctx, s := started(t, 1)
	_, err := s.Client(ctx, "c")
	require.NoError(t, err)
	require.Equal(t, "p1", s.PinnedTo("c"))
	require.NoError(t, s.Reconnect(ctx, "c", nil))
	require.Equal(t, "p2", s.PinnedTo("c"))
	require.NoError(t, s.Only("p1"))
	require.Equal(t, "p2", s.PinnedTo("c"), "weights move no connection")
	require.NoError(t, s.Reconnect(ctx, "c", nil))
	require.Equal(t, "p1", s.PinnedTo("c"))
	require.NoError(t, s.RestartProxy(ctx, "p1"))
	require.ErrorContains(t, s.Reconnect(ctx, "g1", nil), "g1 cannot reconnect: it has no VIP")
}

func TestPoolLendsWipedClusters(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	p, err := stage.NewPool()
	require.NoError(t, err)
	p.Programs = program.Alike(onreal.Program(t))
	defer func() { require.NoError(t, p.Close()) }()
	one, err := p.Take(ctx, 1)
	require.NoError(t, err)
	_, err = one.Client().Put(ctx, "k", "v")
	require.NoError(t, err)
	require.NoError(t, p.Give(ctx, one))
	again, err := p.Take(ctx, 1)
	require.NoError(t, err)
	require.Same(t, one, again)
	r, err := again.Client().Get(ctx, "k")
	require.NoError(t, err)
	require.Zero(t, r.Count)
}

// TestPoolEndsAClusterThatIsNotWiped hands one back that cannot be wiped any more: the next borrower gets another.
func TestPoolEndsAClusterThatIsNotWiped(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	p, err := stage.NewPool()
	require.NoError(t, err)
	defer func() { require.NoError(t, p.Close()) }()
	one, err := p.Take(ctx, 1)
	require.NoError(t, err)
	require.NoError(t, one.Close())
	require.NoError(t, p.Give(ctx, one))
	require.Len(t, p.Ended(), 1)
	require.Contains(t, p.Ended()[0], "another takes its place: the cluster in ")
	again, err := p.Take(ctx, 1)
	require.NoError(t, err)
	require.NotSame(t, one, again)
	_, err = again.Client().Put(ctx, "k", "v")
	require.NoError(t, err)

	ended, end := context.WithCancelCause(ctx)
	end(io.EOF)
	require.ErrorIs(t, p.Give(ended, again), io.EOF)
}

// A transaction that only compares has a proxy forget, whatever the request was and after a compaction through it, when
// reading heals no more. It makes no revision. What begins at a key and ends nowhere stays.
func TestEvictingReachesWhatReadingDoesNot(t *testing.T) {
	t.Parallel()
	ctx, s := started(t, 1)
	p, err := s.At(ctx, "p1")
	require.NoError(t, err)
	member, err := s.At(ctx, "m1")
	require.NoError(t, err)
	forms := map[string][]clientv3.OpOption{
		"prefix": {clientv3.WithPrefix()}, "keys only": {clientv3.WithPrefix(), clientv3.WithKeysOnly()},
		"from key": {clientv3.WithFromKey()},
	}
	told := func(form string) int64 {
		r, err := p.Get(ctx, "k", append(forms[form], clientv3.WithSerializable())...)
		require.NoError(t, err)
		return r.Count
	}
	for form := range forms {
		require.Zero(t, told(form))
	}
	put, err := member.Put(ctx, "k1", "v")
	require.NoError(t, err)
	_, err = p.Compact(ctx, put.Header.Revision)
	require.NoError(t, err)

	require.NoError(t, s.Scrub(ctx, stage.Reading, "k"))
	require.Zero(t, told("prefix"), "after a compaction nothing is filed")
	require.NoError(t, s.Scrub(ctx, stage.Evicting, "k"))
	require.EqualValues(t, 1, told("prefix"))
	require.EqualValues(t, 1, told("keys only"))
	require.Zero(t, told("from key"))
	now, err := member.Get(ctx, "k1")
	require.NoError(t, err)
	require.Equal(t, put.Header.Revision, now.Header.Revision)
}

// A proxy that does not answer is passed over, and those behind it are scrubbed all the same; but the scrubber has not
// been everywhere.
func TestAScrubberPassesOverAProxyThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	ctx, s := started(t, 1)
	first, err := s.At(ctx, "p1")
	require.NoError(t, err)
	second := make(chan struct{}, 100)
	s.StartScrub(10*time.Millisecond, func(ctx context.Context, c *clientv3.Client, _ string) error {
		if c == first {
			<-ctx.Done()
			return ctx.Err()
		}
		second <- struct{}{}
		return nil
	}, "k")
	<-second
	<-second
	soon, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	require.ErrorContains(t, s.Scrubbed(soon), "the scrubber did not get through every proxy")
}
