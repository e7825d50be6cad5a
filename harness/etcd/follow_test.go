package etcd

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness/history"
)

// commits are the commits in h as "revision op key=value".
func commits(h *history.History) []string {
	var list []string
	for _, e := range h.Events() {
		if c := e.Commit; c != nil {
			list = append(list, fmt.Sprintf("%d %s %s=%s", c.Revision, c.Op, c.Key, c.Value))
		}
	}
	return list
}

// seen waits for the commit of revision rev.
func seen(t testing.TB, h *history.History, rev int64) history.Event {
	t.Helper()
	e, err := h.Wait(soon(t), 0, func(e history.Event) bool { return e.Commit != nil && e.Commit.Revision == rev })
	require.NoError(t, err)
	return e
}

func TestFollow(t *testing.T) {
	t.Parallel()
	c := start(t, 3)
	put(t, c, "early", "0")
	require.NoError(t, c.WaitApplied(soon(t), 0))
	h := history.New()
	stop := c.Follow(h, 0)
	put(t, c, "a", "1")
	_, err := c.Client().Txn(soon(t)).
		Then(clientv3.OpPut("b", "2"), clientv3.OpDelete("a"), clientv3.OpPut("c", "3")).Commit()
	require.NoError(t, err)
	lease, err := c.Client().Grant(soon(t), 3600)
	require.NoError(t, err)
	resp, err := c.Client().Put(soon(t), "leased", "4", clientv3.WithLease(lease.ID))
	require.NoError(t, err)
	require.Equal(t, int64(lease.ID), seen(t, h, resp.Header.Revision).Commit.Lease)
	_, err = c.Client().Revoke(soon(t), lease.ID)
	require.NoError(t, err)
	require.NoError(t, c.WaitApplied(soon(t), 6))
	stop()
	stop()
	put(t, c, "late", "5")
	require.Equal(t, []string{
		"3 put a=1", "4 put b=2", "4 delete a=", "4 put c=3", "5 put leased=4", "6 delete leased=",
	}, commits(h), "every change that was applied before the stop, in the order of truth")

	again := history.New()
	c.Follow(again, 2)()
	require.Equal(t, "2 put early=0", commits(again)[0], "the past can be followed too")
	require.Equal(t, "7 put late=5", commits(again)[len(commits(again))-1])
}

// TestFollowSurvives stops and cuts off every member in turn while keys are written.
func TestFollowSurvives(t *testing.T) {
	t.Parallel()
	c := start(t, 3)
	h := history.New()
	stop := c.Follow(h, 0)
	var last int64
	for round, m := range append(c.Members, c.Members...) {
		var err error
		if round%2 == 0 {
			err = m.Stop(soon(t))
		} else {
			err = m.Cut()
		}
		require.NoError(t, err)
		for i := range 5 {
			last = put(t, c, fmt.Sprint(round, i), "x")
		}
		seen(t, h, last)
		if round%2 == 0 {
			err = m.Restart(soon(t))
		} else {
			err = m.Mend()
		}
		require.NoError(t, err)
	}
	stop()
	var revisions []int64
	for _, e := range h.Events() {
		revisions = append(revisions, e.Commit.Revision)
	}
	require.Len(t, revisions, int(last-1), "no commit is missing and none is there twice")
	require.IsIncreasing(t, revisions)
}

// TestFollowEndsWithTheCluster leaves three followers to Close: one that is stopped afterwards, one with no member to
// watch for a while, one in the past.
func TestFollowEndsWithTheCluster(t *testing.T) {
	t.Parallel()
	c := start(t, 1)
	a, b := history.New(), history.New()
	stop := c.Follow(a, 0)
	put(t, c, "key", "value")
	require.NoError(t, c.Members[0].Stop(soon(t)))
	c.Follow(b, 1)
	require.NoError(t, c.Members[0].Restart(soon(t)))
	require.NoError(t, c.Close())
	c.Follow(a, 1)() // it is too late, and does nothing
	stop()
	require.Equal(t, []string{"2 put key=value"}, commits(a))
	require.Equal(t, []string{"2 put key=value"}, commits(b))
}

func TestFollowSaysWhatItMissed(t *testing.T) {
	t.Parallel()
	c := start(t, 3)
	for i := range 5 {
		put(t, c, fmt.Sprint(i), "x")
	}
	require.NoError(t, c.Members[0].compact(soon(t), 4))
	h := history.New()
	stop := c.Follow(h, 2)
	defer stop()
	seen(t, h, 6)
	first := h.Events()[0]
	require.NotNil(t, first.Fault)
	require.Contains(t, first.Fault.Detail, "the commits of revisions 2 to 3 were compacted")
	require.Equal(t, []string{"4 put 2=x", "5 put 3=x", "6 put 4=x"}, commits(h))
}

// TestCloseMeanwhile closes a cluster that is busy: calls fail or succeed, and nothing is left.
func TestCloseMeanwhile(t *testing.T) {
	t.Parallel()
	c := start(t, 3)
	h := history.New()
	c.Follow(h, 0)
	ctx, cancel := context.WithCancel(soon(t))
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if c.Client().Ctx().Err() != nil {
				return
			}
			_, _ = c.Client().Put(ctx, "key", "value")
		}
	}()
	moves := make(chan struct{})
	go func() {
		defer close(moves)
		for _, m := range c.Members {
			_ = m.Stop(ctx)
			_ = m.Restart(ctx)
		}
	}()
	_, err := h.Wait(soon(t), 0, func(e history.Event) bool { return e.Commit != nil && e.Commit.Revision >= 20 })
	require.NoError(t, err)
	require.NoError(t, c.Close())
	cancel()
	<-done
	<-moves
}
