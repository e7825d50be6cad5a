package beyond

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/metadata"

	"ghostroute/harness/history"
	"ghostroute/harness/promise"
	"ghostroute/harness/wait"
)

// watching: watches, and nobody is refused.
func watching() []Scenario {
	return []Scenario{
		{
			Name: "no-leader", N: "1", Title: "a watch requires a leader, and its member loses it",
			Seen:  "found by reading; clientv3.WithRequireLeader is what Kubernetes and go-zero watch with",
			Cause: "watch.go:112, lease.go:161: the wish is looked for in a server's outgoing metadata",
			Text: "c1 watches with WithRequireLeader. The member that answers is cut off from the others. A witness, who " +
				"watches the same straight at that member, is told that there is no leader.",
			Needs: Needs{Members: 3}, Clients: []string{"c1"}, Patience: 2500 * time.Millisecond,
			Proofs: []promise.Proof{{What: "a witness who was told that there is no leader", Shows: witnessed}},
			Act: func(b *Bench) error {
				ctx := clientv3.WithRequireLeader(b.ctx)
				if err := b.watch(ctx, "c1", "w1", "k"); err != nil {
					return err
				}
				return b.loseLeader(ctx, "k")
			},
		},
		{
			Name: "list-and-watch", N: "14", Title: "a cached list is older than what is compacted",
			Seen: "etcd issues 10650, 14665; what Cilium and etcd's own resolver do",
			Cause: "kv.go:49: a serializable list is answered from the cache however old it is, and watch_broadcast.go:88 " +
				"passes on that its next revision is compacted",
			Text: "c1 watches something else all the time, and lists k/ serializably. The key changes on a member, and " +
				"history is compacted there. c1 watches from the next revision, is told that it is compacted, lets go of " +
				"that watch, and lists again: as a client is to do.",
			Clients: []string{"c1"},
			Proofs:  []promise.Proof{{What: "a compaction on a member", Shows: wrote("compact", "")}},
			Act: func(b *Bench) error {
				if _, err := b.put("k/1"); err != nil {
					return err
				}
				if err := b.watch(b.ctx, "c1", "else", "else/", clientv3.WithPrefix()); err != nil {
					return err
				}
				if _, err := b.list("c1", "k/"); err != nil {
					return err
				}
				rev, err := b.put("k/1", "k/2", "k/3")
				if err != nil {
					return err
				}
				if err := b.compact(rev); err != nil {
					return err
				}
				return b.catchUp("c1", "k/", rev, 5)
			},
		},
		{
			Name: "corpse", N: "3", Title: "a watch joins one that is over",
			Seen: "etcd issues 18231, 21813; PRs 21814, 21930, and one in 10650",
			Cause: "watch_broadcast.go:71: the loop ends with the upstream watch, and the broadcast stays listed; " +
				"watch_broadcast.go:97 lets whoever comes join it",
			Text: "c1, which is busy and does not read, watches from a revision that is compacted: upstream its watch " +
				"ends. c2 " +
				"lists, and watches the same range from the next revision. Then a key is written.",
			Clients: []string{"c2"},
			Proofs:  []promise.Proof{{What: "a compaction on a member", Shows: wrote("compact", "")}},
			Act: func(b *Bench) error {
				if err := b.putAndCompact(); err != nil {
					return err
				}
				if err := b.corpse("c1"); err != nil {
					return err
				}
				rev, err := b.list("c2", "k/")
				if err != nil {
					return err
				}
				if err := b.watch(b.ctx, "c2", "w1", "k/", clientv3.WithPrefix(), clientv3.WithRev(rev+1)); err != nil {
					return err
				}
				_, err = b.put("k/2")
				return err
			},
		},
		{
			Name: "corpse-takes", N: "3", Title: "a watch that works is moved to one that is over",
			Seen: "found here, on the way to a cure of 18231",
			Cause: "watch_broadcast.go:84: the last word of a watch that ended has revision 0, so the broadcast is as far as " +
				"revision 1; watch_broadcasts.go:67: whoever is as far or further is moved to it, after its next event",
			Text: "c2 watches a range, and is told. c1, which is busy and does not read, watches the same range from a " +
				"revision " +
				"that is compacted. Two keys are written.",
			Clients: []string{"c2"},
			Proofs:  []promise.Proof{{What: "a compaction on a member", Shows: wrote("compact", "")}},
			Act: func(b *Bench) error {
				if err := b.putAndCompact(); err != nil {
					return err
				}
				if err := b.watch(b.ctx, "c2", "w1", "k/", clientv3.WithPrefix()); err != nil {
					return err
				}
				if err := b.corpse("c1"); err != nil {
					return err
				}
				if _, err := b.put("k/2"); err != nil {
					return err
				}
				if err := b.told("c2", "k/2"); err != nil {
					return err
				}
				_, err := b.put("k/3")
				return err
			},
		},
		{
			Name: "second-created", N: "4", Title: "a member restarts under many watches",
			Seen: "etcd PR 21881: events of other ranges were delivered in production",
			Cause: "watch_broadcast.go:88 would pass a second Created on; but client/v3/watch.go:838-848 hands a Created " +
				"to its " +
				"reader once, and swallows those of resumed watches",
			Text: "Three clients watch five ranges each, through one proxy. The member is killed and starts again, which all " +
				"their watches survive. Then each range is written.",
			Clients: []string{"c1", "c2", "c3"}, Patience: 4 * time.Second,
			Proofs: []promise.Proof{{What: "a member that was killed", Shows: faulted(history.Kill, "m1")}},
			NA:     slowGateway,
			Act: func(b *Bench) error {
				var written []string
				for r := range 5 {
					prefix := fmt.Sprintf("k%d/", r)
					written = append(written, prefix+"1")
					for c := range 3 {
						client := fmt.Sprintf("c%d", c+1)
						if err := b.watch(b.ctx, client, prefix, prefix, clientv3.WithPrefix()); err != nil {
							return err
						}
					}
				}
				if _, err := b.put(written...); err != nil {
					return err
				}
				if err := b.Kill("m1"); err != nil {
					return err
				}
				if err := b.RestartMember(b.ctx, "m1"); err != nil {
					return err
				}
				_, err := b.put(written...)
				return err
			},
		},
		{
			Name: "created-ahead", N: "5", Title: "a watch joins another and is told a revision",
			Seen:  "found by reading; a todo stands beside the line",
			Cause: "watch_broadcast.go:115: a Created that the proxy makes itself has the revision that was asked for",
			Text: "c1 watches. c2 lists, and watches the same range from the next revision, as one does. Its Created says " +
				"that " +
				"this revision is reached: whoever waits for a Created to know that a write is in is fooled.",
			Clients: []string{"c1", "c2"},
			Act: func(b *Bench) error {
				if _, err := b.put("k/1"); err != nil {
					return err
				}
				if err := b.watch(b.ctx, "c1", "w1", "k/", clientv3.WithPrefix()); err != nil {
					return err
				}
				rev, err := b.list("c2", "k/")
				if err != nil {
					return err
				}
				return b.watch(b.ctx, "c2", "w1", "k/", clientv3.WithPrefix(), clientv3.WithRev(rev+1))
			},
		},
		slowClient(),
		{
			Name: "progress", N: "6", Title: "a client asks how far its watch is",
			Seen:    "etcd issues 19710, 15220; PR 19711. Kubernetes asks from 1.32 on",
			Cause:   "watch.go:295: recvLoop knows creating and cancelling, and logs an error for what is neither",
			Text:    "c1 watches, and asks for a progress report.",
			Clients: []string{"c1"},
			Act: func(b *Bench) error {
				if err := b.watch(b.ctx, "c1", "w1", "k/", clientv3.WithPrefix()); err != nil {
					return err
				}
				return b.askProgress("c1", "w1")
			},
		},
	}
}

// putAndCompact writes a key of k/ three times, and compacts all before the last.
func (b *Bench) putAndCompact() error {
	rev, err := b.put("k/1", "k/1", "k/1")
	if err != nil {
		return err
	}
	return b.compact(rev)
}

// corpse has a client that is busy and does not read watch k/ from a revision that is compacted, and returns when its
// proxy has passed that on: the proxy's own watch is over, then, and the client has not let go of it.
func (b *Bench) corpse(client string) error {
	err := b.asksFor(b.ctx, client, "w1", "k/", true, clientv3.WithPrefix(), clientv3.WithRev(1))
	if err == nil && b.relays() {
		_, err = b.History.Wait(b.ctx, 0, passedOn(client))
	}
	return err
}

// told waits until a client has been told of a key.
func (b *Bench) told(client, key string) error {
	_, err := b.History.Wait(b.ctx, 0, func(e history.Event) bool {
		return e.Who == client && e.Watch != nil && slices.ContainsFunc(e.Watch.Events,
			func(c history.Commit) bool { return c.Key == key })
	})
	return err
}

// passedOn is that a proxy has told a client that its watch is over: its own is, then.
func passedOn(client string) func(history.Event) bool {
	return func(e history.Event) bool { return e.Watch != nil && e.Watch.Watch == "p1 to "+client }
}

// faulted is that a fault fired.
func faulted(kind history.FaultKind, target string) func(history.Event) bool {
	return func(e history.Event) bool {
		return e.Fault != nil && e.Fault.Kind == kind && e.Fault.Op == history.Fire && e.Fault.Target == target
	}
}

// wrote says whether an operation was acknowledged by way of a node whose name begins with via.
func wrote(op, via string) func(history.Event) bool {
	return func(e history.Event) bool {
		return e.Write != nil && e.Write.Op == op && e.Write.Err == "" && strings.HasPrefix(e.Write.Via, via)
	}
}

// catchUp has a client list, and watch from the next revision, until that is not compacted, or so many times. Between
// two rounds a proxy has to have let go of the watch that ended: until then the next one joins it, and hears nothing,
// which is the scenario corpse. A client whose stream carries another watch says so by cancelling the one that ended,
// and the proxy confirms it when it has.
func (b *Bench) catchUp(client, prefix string, compacted int64, rounds int) error {
	for n := range rounds {
		rev, err := b.list(client, prefix)
		if err != nil {
			return err
		}
		seen, name := b.History.Len(), fmt.Sprintf("w%d", n+1)
		if err := b.watch(b.ctx, client, name, prefix, clientv3.WithPrefix(), clientv3.WithRev(rev+1)); err != nil {
			return err
		}
		if rev+1 >= compacted {
			return nil
		}
		if !b.within(patience, seen, func(e history.Event) bool {
			return e.Watch != nil && e.Who == client && e.Watch.Watch == name && e.Watch.Op == history.WatchEnd
		}) {
			return context.Cause(b.ctx) // it says nothing: that is for the judge
		}
		if b.relays() && !b.within(trialTimeout/4, seen, letGo(client)) {
			return errors.Join(context.Cause(b.ctx), fmt.Errorf("the proxy never confirmed that it let go of %s", name))
		}
	}
	return nil
}

// within says whether there comes to be such an event after the first n.
func (b *Bench) within(d time.Duration, n int, match func(history.Event) bool) bool {
	ctx, cancel := context.WithTimeout(b.ctx, d)
	defer cancel()
	_, err := b.History.Wait(ctx, n, match)
	return err == nil
}

// letGo is that a proxy has confirmed that a client's watch is no longer among those that it serves (watch.go:327).
func letGo(client string) func(history.Event) bool {
	return func(e history.Event) bool { return passedOn(client)(e) && e.Watch.Compacted == 0 }
}

// list has a client list serializably, and records it.
func (b *Bench) list(client, prefix string) (revision int64, err error) {
	c, err := b.client(client)
	if err != nil {
		return 0, err
	}
	began := b.History.Now()
	var r *clientv3.GetResponse
	err = wait.For(b.ctx, func() string { // a member that was gone is not reached at once
		if r, err = c.Get(b.ctx, prefix, clientv3.WithPrefix(), clientv3.WithSerializable()); err != nil {
			return err.Error()
		}
		return ""
	})
	if err != nil {
		return 0, err
	}
	e := &history.Range{Began: began, Key: prefix, End: clientv3.GetPrefixRangeEnd(prefix), Serializable: true,
		Revision: r.Header.Revision, Count: r.Count}
	for _, kv := range r.Kvs {
		e.Keys, e.Mods = append(e.Keys, string(kv.Key)), append(e.Mods, kv.ModRevision)
	}
	b.History.Add(history.Event{Who: client, Range: e})
	return r.Header.Revision, nil
}

// compact compacts on a member.
func (b *Bench) compact(rev int64) error {
	c, err := b.At(b.ctx, "m1")
	if err != nil {
		return err
	}
	_, err = c.Compact(b.ctx, rev)
	return err
}

// askProgress has a client ask for a report of its watches' progress, and records that for one of them.
func (b *Bench) askProgress(client, watch string) error {
	c, err := b.client(client)
	if err != nil {
		return err
	}
	b.History.Add(history.Event{Who: client, Watch: &history.Watch{Watch: watch, Op: history.WatchInquire}})
	return c.RequestProgress(b.ctx)
}

// loseLeader cuts the member m1 off, and returns when a witness has been told that it has no leader.
func (b *Bench) loseLeader(ctx context.Context, key string) error {
	if err := b.witness(ctx, key); err != nil {
		return err
	}
	if err := b.CutOff(b.ctx, "m1"); err != nil {
		return err
	}
	_, err := b.History.Wait(b.ctx, 0, witnessed)
	return err
}

// requires says whether a call requires a leader.
func requires(ctx context.Context) bool {
	md, _ := metadata.FromOutgoingContext(ctx)
	return len(md[rpctypes.MetadataRequireLeaderKey]) > 0
}

// witness watches a key straight at the member m1.
func (b *Bench) witness(ctx context.Context, key string) error {
	c, err := b.At(b.ctx, "m1")
	if err != nil {
		return err
	}
	b.taps["witness"], b.clients["witness"] = b.tapOf("witness"), c
	return b.watch(ctx, "witness", "w0", key)
}

// witnessed is a witness's word that there is no leader.
func witnessed(e history.Event) bool {
	return e.Who == "witness" && e.Watch != nil && strings.Contains(e.Watch.Reason, "no leader")
}
