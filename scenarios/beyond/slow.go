package beyond

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness/history"
	"ghostroute/harness/promise"
	"ghostroute/harness/proxy"
)

// full is how many responses must wait behind one that is on its way to a client for the next to find no room: the
// channel of a client's stream has 1,024 places (watch.go:103), and one more is what waits 50 ms and then ends the
// stream.
const full = 1024 + 1

// tooMany is a number of keys that no scenario has to write: members that are behind send many events in one response.
const tooMany = 20 * full

func slowClient() Scenario {
	return Scenario{
		Name: "slow-client", N: "13", Title: "a client is slow for a moment",
		Seen: "etcd PRs 12030, 9839 are around it",
		Cause: "watcher.go:125-127: 50 ms on a channel that is full, of 1,024 responses, end the client's stream; " +
			"watch.go:165: as cancelled, which client/v3/client.go:584 takes for final",
		Text: "c1 watches a range that is busy and one that is not. What the proxy sends it is held on its way while " +
			"keys are written, until 1,025 responses wait behind it. Both watches end with \"context canceled\", and " +
			"nobody cancelled them.",
		Clients: []string{"c1"}, Patience: 3 * time.Second,
		Proofs: []promise.Proof{{What: "a last key that was written", Shows: func(e history.Event) bool {
			return e.Commit != nil && e.Commit.Key == "k/last"
		}}},
		AtProxy: []promise.Proof{{What: "1,025 responses behind one that is held", Shows: func(e history.Event) bool {
			return e.Fault != nil && e.Fault.Kind == history.Hold && e.Fault.Op == history.End && e.Fault.Met >= full
		}}},
		Act: func(b *Bench) error {
			for _, w := range []string{"k/", "quiet/"} {
				if err := b.watch(b.ctx, "c1", w, w, clientv3.WithPrefix()); err != nil {
					return err
				}
			}
			if err := b.fillUp("c1", "k/"); err != nil {
				return err
			}
			_, err := b.put("quiet/1", "k/last")
			return err
		},
	}
}

// fillUp writes keys while what the proxy sends to a client is held, until so many responses wait that the next finds
// no room, and has the proxy do what it does then: it ends the client's stream, or the time in which it would is long
// over. Past a proxy it writes as many keys.
func (b *Bench) fillUp(client, prefix string) error {
	if !b.relays() {
		return b.putUntil(prefix, func(written int64) bool { return written >= full })
	}
	from := b.History.Len()
	held := b.Hold("p1", proxy.Hold{RPC: "Watch", Key: prefix, Point: history.BeforeClient})
	defer held.Release()
	if err := b.putUntil(prefix, func(int64) bool { return held.Behind() >= full }); err != nil {
		return err
	}
	b.within(trialTimeout/4, from, func(e history.Event) bool {
		return e.Watch != nil && e.Watch.Watch == "p1 to all of "+client
	})
	return nil
}

// putUntil writes keys on a member, some at a time, until it is enough.
func (b *Bench) putUntil(prefix string, enough func(written int64) bool) error {
	c, err := b.At(b.ctx, "m1")
	if err != nil {
		return err
	}
	const parallel = 32
	var next, written atomic.Int64
	var all sync.WaitGroup
	errs := make(chan error, parallel)
	for range parallel {
		all.Go(func() {
			for !enough(written.Load()) {
				n := next.Add(1)
				if n > tooMany {
					errs <- fmt.Errorf("it was not enough to write %d keys of %s", tooMany, prefix)
					return
				}
				if _, err := c.Put(b.ctx, fmt.Sprint(prefix, n), "v"); err != nil {
					errs <- err
					return
				}
				written.Add(1)
			}
		})
	}
	all.Wait()
	close(errs)
	var failed []error
	for err := range errs {
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}
