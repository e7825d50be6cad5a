package beyond

import (
	"context"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness/history"
	"ghostroute/harness/promise"
)

// identities: authentication is on, and several users share a proxy.
func identities() []Scenario {
	return []Scenario{
		{
			Name: "two-users", N: "2b", Title: "two users with rights of their own watch through one proxy",
			Seen: "found by reading; etcd issues 16112, 19296 are its cousins",
			Cause: "watch_broadcast.go:66, util.go:37: a token goes upstream as a context's value, and a client finds its " +
				"stream by metadata (client/v3/watch.go:1086): all share the first one's",
			Text:  "ana may read a/, and watches it. bob may read b/, and watches it. A key of each is written.",
			Needs: Needs{Auth: true}, Clients: []string{"ana", "bob"},
			Proofs: []promise.Proof{{What: "a user", Shows: wrote("user", "m")}},
			Act: func(b *Bench) error {
				if err := b.users("ana", "a/", "bob", "b/"); err != nil {
					return err
				}
				if err := b.watch(b.ctx, "ana", "w1", "a/", clientv3.WithPrefix()); err != nil {
					return err
				}
				if err := b.asksFor(b.ctx, "bob", "w1", "b/", false, clientv3.WithPrefix()); err != nil {
					return err
				}
				_, err := b.put("a/1", "b/1")
				return err
			},
		},
		{
			Name: "token-gone", N: "2a", Title: "a token is no longer good, and it is not the watcher's",
			Seen:  "etcd issues 16112, 19296; PR 19033",
			Cause: "watch_broadcast.go:66, util.go:37, as two-users; watcher.go:107 drops the refusal",
			Text: "ana and bob may both read k/. ana watches, and changes her password, which ends her token, as five " +
				"minutes do. " +
				"bob watches.",
			Needs: Needs{Auth: true}, Clients: []string{"bob"},
			Proofs: []promise.Proof{{What: "a change of password", Shows: wrote("password", "m")}},
			Act: func(b *Bench) error {
				if err := b.users("ana", "k/", "bob", "k/"); err != nil {
					return err
				}
				if err := b.watch(b.ctx, "ana", "w1", "k/1"); err != nil {
					return err
				}
				err := b.Administer(b.ctx, "password", func(c *clientv3.Client) error {
					_, err := c.UserChangePassword(b.ctx, "ana", "new")
					return err
				})
				if err != nil {
					return err
				}
				if err := b.asksFor(b.ctx, "bob", "w1", "k/2", false); err != nil {
					return err
				}
				_, err = b.put("k/2")
				return err
			},
		},
		{
			Name: "refusal-sticks", N: "9", Title: "a refusal is told to another watch of the same client",
			Seen:  "found by reading",
			Cause: "client/v3/watch.go:469 keeps the refusal as its stream's error, and 494 tells it to whoever ends next",
			Text: "bob may read b/. He watches a/, and is refused. On the same stream he watches b/ from a revision that is " +
				"compacted: he is told so, and then that permission is denied.",
			Patch: "client-watch.patch", Needs: Needs{Auth: true}, Clients: []string{"bob"}, Refused: []string{"bob"},
			Proofs: []promise.Proof{{What: "a compaction on a member", Shows: wrote("compact", "")}},
			Act: func(b *Bench) error {
				if err := b.users("bob", "b/"); err != nil {
					return err
				}
				rev, err := b.put("b/1", "b/1", "b/1")
				if err != nil {
					return err
				}
				if err := b.compact(rev); err != nil {
					return err
				}
				// One more watch keeps the stream open when the refused one is closed.
				if err := b.watch(b.ctx, "bob", "w0", "b/", clientv3.WithPrefix()); err != nil {
					return err
				}
				if err := b.watch(b.ctx, "bob", "w1", "a/", clientv3.WithPrefix()); err != nil {
					return err
				}
				return b.ended("bob", "w2", "b/", clientv3.WithPrefix(), clientv3.WithRev(1))
			},
		},
		{
			Name: "close-hangs", N: "8", Title: "a client is closed when it has just been refused a watch",
			Seen: "found here: proxies did not stop; no issue is known",
			Cause: "client/v3/watch.go:466-473: a refused substream is closed and not put among closing; if run leaves " +
				"before it " +
				"has heard of that, its deferred wait (539) waits for it, and it (803) waits to be heard",
			Text: "bob, who may read b/, watches a/ and b/ at once, and is closed while his client asks for the second. " +
				"Whether " +
				"it hangs is a coin's toss of Go's select, so ten bobs do so.",
			Patch: "client-watch.patch", Needs: Needs{Auth: true}, Clients: []string{"bob"},
			Proofs: []promise.Proof{{What: "a client that was refused and closed", Shows: closedOnce}},
			Act: func(b *Bench) error {
				if err := b.users("bob", "b/"); err != nil {
					return err
				}
				return b.closeRefused("bob", 10)
			},
		},
		{
			Name: "probe", N: "10", Title: "authentication is on, and the proxy looks for a leader",
			Seen:  "etcd issue 12897, closed as stale",
			Cause: "leader.go:62-73: the probe watches a key with no user, is refused, and asks again ten times a second",
			Text:  "Nobody does anything for a moment. The proxy's watch server and its lease server look for a leader.",
			Needs: Needs{Auth: true}, Clients: []string{"c1"},
			Act: func(b *Bench) error {
				b.judged = []string{"p1"}
				ctx, cancel := context.WithTimeout(b.ctx, 2500*time.Millisecond)
				defer cancel()
				refused := 0
				_, _ = b.History.Wait(ctx, 0, func(e history.Event) bool {
					if e.Watch != nil && e.Watch.Op == history.WatchEnd {
						refused++
					}
					return refused == 40 // the first twenty come at once, the others at the rate of twenty a second
				})
				return context.Cause(b.ctx)
			},
		},
	}
}

// ended has a client watch, and waits until the watch has ended twice, or for as long as that may take.
func (b *Bench) ended(client, name, key string, opts ...clientv3.OpOption) error {
	if err := b.watch(b.ctx, client, name, key, opts...); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	ends := func(e history.Event) bool {
		return e.Who == client && e.Watch != nil && e.Watch.Watch == name && e.Watch.Op == history.WatchEnd
	}
	if first, err := b.History.Wait(ctx, 0, ends); err == nil {
		_, _ = b.History.Wait(ctx, first.Seq, ends)
	}
	return context.Cause(b.ctx)
}

// users adds users, each with the prefix that it may read and write.
func (b *Bench) users(names ...string) error {
	for i := 0; i < len(names); i += 2 {
		all := clientv3.PermissionType(clientv3.PermReadWrite)
		if err := b.User(b.ctx, names[i], names[i+1], all); err != nil {
			return err
		}
	}
	return nil
}
