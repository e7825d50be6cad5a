package beyond

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/metadata"

	"ghostroute/harness/history"
	"ghostroute/harness/promise"
	"ghostroute/harness/proxy"
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
			Text: "c1 lists serializably. The key changes on a member, and history is compacted there. c1 watches from the " +
				"next revision, is told that it is compacted, and lists again: as a client is to do.",
			Clients: []string{"c1"},
			Proofs:  []promise.Proof{{What: "a compaction on a member", Shows: wrote("compact", "")}},
			Act: func(b *Bench) error {
				if _, err := b.put("k/1"); err != nil {
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
				rev, err := b.put("k/1", "k/1", "k/1")
				if err != nil {
					return err
				}
				if err := b.compact(rev); err != nil {
					return err
				}
				if err := b.asksFor(b.ctx, "c1", "w1", "k/", true, clientv3.WithPrefix(), clientv3.WithRev(1)); err != nil {
					return err
				}
				if b.relays() {
					if _, err := b.History.Wait(b.ctx, 0, passedOn("c1")); err != nil {
						return err
					}
				}
				if rev, err = b.list("c2", "k/"); err != nil {
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
				rev, err := b.put("k/1", "k/1", "k/1")
				if err != nil {
					return err
				}
				if err := b.compact(rev); err != nil {
					return err
				}
				if err := b.watch(b.ctx, "c2", "w1", "k/", clientv3.WithPrefix()); err != nil {
					return err
				}
				if err := b.asksFor(b.ctx, "c1", "w1", "k/", true, clientv3.WithPrefix(), clientv3.WithRev(1)); err != nil {
					return err
				}
				if b.relays() {
					if _, err := b.History.Wait(b.ctx, 0, passedOn("c1")); err != nil {
						return err
					}
				}
				if _, err := b.put("k/2"); err != nil {
					return err
				}
				if err := b.told("c2", "k/2"); err != nil {
					return err
				}
				_, err = b.put("k/3")
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
		{
			Name: "slow-client", N: "13", Title: "a client is slow for a moment",
			Seen: "etcd PRs 12030, 9839 are around it",
			Cause: "watcher.go:125-127: 50 ms on a channel that is full, of 1,024 responses, end the client's stream; " +
				"watch.go:165: as cancelled, which client/v3/client.go:584 takes for final",
			Text: "c1 watches a range that is busy and one that is not. What the proxy sends it is held on its way while " +
				"1,400 keys are written. Both watches end with \"context canceled\", and nobody cancelled them.",
			Clients: []string{"c1"}, Patience: 3 * time.Second,
			Proofs: []promise.Proof{{What: "1,400 keys", Shows: func(e history.Event) bool {
				return e.Commit != nil && e.Commit.Key == "k/last"
			}}},
			Act: func(b *Bench) error {
				for _, w := range []string{"k/", "quiet/"} {
					if err := b.watch(b.ctx, "c1", w, w, clientv3.WithPrefix()); err != nil {
						return err
					}
				}
				if b.relays() {
					defer b.Hold("p1", proxy.Hold{RPC: "Watch", Key: "k/", Point: history.BeforeClient}).Release()
				}
				if err := b.putMany("k/", 1400, 32); err != nil { // each is a response of its own
					return err
				}
				_, err := b.put("quiet/1", "k/last")
				return err
			},
		},
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

// catchUp has a client list, and watch from the next revision, until that is not compacted, or so many times.
func (b *Bench) catchUp(client, prefix string, compacted int64, rounds int) error {
	for n := range rounds {
		rev, err := b.list(client, prefix)
		if err != nil {
			return err
		}
		name := fmt.Sprintf("w%d", n+1)
		if err := b.watch(b.ctx, client, name, prefix, clientv3.WithPrefix(), clientv3.WithRev(rev+1)); err != nil {
			return err
		}
		if rev+1 >= compacted {
			return nil
		}
		over, cancel := context.WithTimeout(b.ctx, patience)
		_, err = b.History.Wait(over, 0, func(e history.Event) bool {
			return e.Watch != nil && e.Who == client && e.Watch.Watch == name && e.Watch.Op == history.WatchEnd
		})
		cancel()
		if err != nil {
			return context.Cause(b.ctx) // it says nothing: that is for the judge
		}
	}
	return nil
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
