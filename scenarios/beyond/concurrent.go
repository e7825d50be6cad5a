package beyond

import (
	"context"
	"strconv"
	"sync"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"

	"ghostroute/harness/history"
	"ghostroute/harness/promise"
)

// concurrent: etcd's own client/v3/concurrency, whose lock and election read linearizably and watch, and whose
// transactional memory reads serializably, in transactions.
func concurrent() []Scenario {
	const seen = "found by reading, and then run; etcd's own client/v3/concurrency"
	return []Scenario{
		{
			Name: "stm", N: "stm", Title: "a transaction in memory meets what is cached",
			Seen: seen,
			Cause: "client/v3/concurrency/stm.go:288 reads in a transaction, and grpcproxy/kv.go:116 passes each on: no " +
				"cache answers it",
			Text: "A counter is cached, and an operator counts on at a member. c1 adds one with NewSTM, of the level " +
				"ReadCommitted, which compares nothing: had it read what is cached, it would have overwritten the " +
				"operator's.",
			Clients: []string{"c1"},
			Proofs: []promise.Proof{{What: "an operator's change", Shows: func(e history.Event) bool {
				return e.Commit != nil && e.Commit.Key == counter && e.Commit.Value == "4"
			}}},
			Act: func(b *Bench) error { return b.count(concurrency.ReadCommitted) },
		},
		{
			Name: "lock", N: "lock", Title: "the holder of a lock dies",
			Seen:    seen,
			Cause:   "client/v3/concurrency/key.go:55-57: who waits lists linearizably, and watches from there",
			Text:    "c1 has a lock, and c2 waits for it. c1's lease is revoked on a member. c2 comes to have the lock.",
			Clients: []string{"c1", "c2"},
			Proofs:  []promise.Proof{{What: "a lease that was revoked", Shows: wrote("revoke", "")}},
			Act:     func(b *Bench) error { return b.lock("c1", "c2", "lock/") },
		},
		{
			Name: "lock-two-users", N: "lock", Title: "the holder of a lock dies, and somebody else watches",
			Seen: seen,
			Cause: "watch_broadcast.go:66, util.go:37, as two-users: the watch that the lock waits by is asked for with " +
				"another's token, is refused, and nobody is told",
			Text: "ana may read a/, and watches it. bob has a lock under b/, and another of bob's waits for it. The first " +
				"one's lease is revoked on a member: the lock is free, and whoever waits waits for ever.",
			Needs: Needs{Auth: true}, Clients: []string{"bob"},
			Proofs: []promise.Proof{{What: "a lease that was revoked", Shows: wrote("revoke", "")}},
			Act: func(b *Bench) error {
				if err := b.users("ana", "a/", "bob", "b/"); err != nil {
					return err
				}
				if err := b.watch(b.ctx, "ana", "w1", "a/", clientv3.WithPrefix()); err != nil {
					return err
				}
				return b.lock("bob", "bob", "b/lock/")
			},
		},
		{
			Name: "election", N: "election", Title: "a leader dies, and another is elected",
			Seen:    seen,
			Cause:   "client/v3/concurrency/election.go:179, 225: who observes lists linearizably, and watches from there",
			Text:    "c1 leads, c2 observes, and c3 stands. c1's lease is revoked on a member. c2 is told of c3.",
			Clients: []string{"c1", "c2", "c3"},
			Proofs:  []promise.Proof{{What: "a lease that was revoked", Shows: wrote("revoke", "")}},
			Act:     func(b *Bench) error { return b.elect() },
		},
	}
}

// counter is a key whose number each write makes one more.
const counter = "count/1"

// count has a proxy cache a counter, an operator count on, and c1 add one in a transaction of that level.
func (b *Bench) count(level concurrency.Isolation) error {
	ops, err := b.At(b.ctx, "m1")
	if err != nil {
		return err
	}
	c, err := b.client("c1")
	if err != nil {
		return err
	}
	for n := 1; n <= 4; n++ {
		if _, err := ops.Put(b.ctx, counter, strconv.Itoa(n)); err != nil {
			return err
		}
		if n > 1 {
			continue
		}
		if _, err := c.Get(b.ctx, counter, clientv3.WithSerializable()); err != nil {
			return err
		}
	}
	_, err = concurrency.NewSTM(c, func(s concurrency.STM) error {
		n, err := strconv.Atoi(s.Get(counter))
		if err != nil {
			return err
		}
		s.Put(counter, strconv.Itoa(n+1))
		return nil
	}, concurrency.WithIsolation(level), concurrency.WithAbortContext(b.ctx))
	return err
}

// session is a session of a client's, whose watches are recorded. It is given up when the trial ends.
func (b *Bench) session(client string) (*concurrency.Session, error) {
	c, err := b.client(client)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(b.ctx)
	of := clientv3.NewCtxClient(ctx) // it has no connection: these are all that a session uses of it
	of.KV, of.Lease, of.Watcher = c.KV, c.Lease, b.taps[client].Recording(c.Watcher)
	s, err := concurrency.NewSession(of, concurrency.WithContext(ctx))
	if err != nil {
		cancel()
		return nil, err
	}
	b.keeping = append(b.keeping, func() { cancel(); <-s.Done() })
	return s, nil
}

// waits runs what may wait for ever, until it is done or the trial ends.
func (b *Bench) waits(f func(context.Context)) (done <-chan struct{}) {
	ctx, cancel := context.WithCancel(b.ctx)
	over := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() { defer close(over); f(ctx) })
	b.keeping = append(b.keeping, func() { cancel(); all.Wait() })
	return over
}

// lock has one have a lock, another wait for it, and the first one's lease revoked.
func (b *Bench) lock(holder, waiter, prefix string) error {
	first, err := b.session(holder)
	if err != nil {
		return err
	}
	if err := concurrency.NewMutex(first, prefix).Lock(b.ctx); err != nil {
		return err
	}
	second, err := b.session(waiter)
	if err != nil {
		return err
	}
	seen := b.History.Len()
	done := b.waits(func(ctx context.Context) { _ = concurrency.NewMutex(second, prefix).Lock(ctx) })
	if err := b.asked(waiter, seen); err != nil {
		return err
	}
	return b.revoked(first.Lease(), done)
}

// elect has c1 lead, c2 observe, c3 stand, and c1's lease revoked.
func (b *Bench) elect() error {
	const prefix = "elected/"
	leader, err := b.session("c1")
	if err != nil {
		return err
	}
	if err := concurrency.NewElection(leader, prefix).Campaign(b.ctx, "c1"); err != nil {
		return err
	}
	observer, err := b.session("c2")
	if err != nil {
		return err
	}
	next, err := b.session("c3")
	if err != nil {
		return err
	}
	seen, told := b.History.Len(), make(chan struct{})
	b.waits(func(ctx context.Context) {
		for r := range concurrency.NewElection(observer, prefix).Observe(ctx) {
			if string(r.Kvs[0].Value) == "c3" {
				close(told)
				return
			}
		}
	})
	if err := b.asked("c2", seen); err != nil {
		return err
	}
	b.waits(func(ctx context.Context) { _ = concurrency.NewElection(next, prefix).Campaign(ctx, "c3") })
	if err := b.asked("c3", seen); err != nil {
		return err
	}
	return b.revoked(leader.Lease(), told)
}

// revoked revokes a lease on a member, and returns when what is to come of that has come, or whoever waits for it has
// been told nothing for so long that it is for the judge.
func (b *Bench) revoked(lease clientv3.LeaseID, done <-chan struct{}) error {
	ops, err := b.At(b.ctx, "m1")
	if err != nil {
		return err
	}
	n := b.History.Len()
	if _, err := ops.Revoke(b.ctx, lease); err != nil {
		return err
	}
	if _, err := b.History.Wait(b.ctx, n, func(e history.Event) bool {
		return e.Commit != nil && e.Commit.Op == "delete"
	}); err != nil {
		return err
	}
	over, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	select {
	case <-done:
	case <-over.Done():
	}
	return nil
}

// asked waits until a client has asked for a watch after the first n events.
func (b *Bench) asked(client string, n int) error {
	_, err := b.History.Wait(b.ctx, n, func(e history.Event) bool {
		return e.Who == client && e.Watch != nil && e.Watch.Op == history.WatchAsk
	})
	return err
}
