package beyond

import (
	"context"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness/history"
	"ghostroute/harness/promise"
)

// leases: leases that are kept alive through a proxy.
func leases() []Scenario {
	return []Scenario{
		{
			Name: "no-leader-lease", N: "1, 12", Title: "a lease is kept alive, and its member loses the leader",
			Seen:  "found by reading; noted in etcd PR 21122",
			Cause: "lease.go:161: the wish for a leader is looked for in a server's outgoing metadata",
			Text: "c1 keeps a lease of a minute alive and requires a leader. The member that answers is cut off. A witness is " +
				"told that there is no leader.",
			Needs: Needs{Members: 3}, Clients: []string{"c1"}, Patience: 2500 * time.Millisecond,
			Proofs: []promise.Proof{{What: "a witness who was told that there is no leader", Shows: witnessed}},
			Act: func(b *Bench) error {
				ctx := clientv3.WithRequireLeader(b.ctx)
				if _, err := b.keep(ctx, "c1", "k", 60); err != nil {
					return err
				}
				return b.loseLeader(ctx, "k")
			},
		},
		{
			Name: "lease-auth", N: "11", Title: "a lease is kept alive, and authentication is on",
			Seen: "found here: that a renewal is never authenticated was so up to v3.6.8 and v3.5.21",
			Cause: "etcdserver/v3_server.go:575 asks who renews, in v3.7.0, v3.6.16 and v3.5.35; lease.go:279 renews over a " +
				"stream of the proxy's own, which has no token (client/v3/lease.go:499)",
			Text:  "bob has a key with a lease, and keeps it alive. That is all.",
			Needs: Needs{Auth: true}, Clients: []string{"bob"},
			Proofs: []promise.Proof{{What: "a key with a lease", Shows: leased}},
			Act: func(b *Bench) error {
				if err := b.users("bob", "b/"); err != nil {
					return err
				}
				_, err := b.keep(b.ctx, "bob", "b/1", 5)
				if err != nil {
					return err
				}
				return b.outlive("bob", 8*time.Second)
			},
		},
		{
			Name: "lease-token", N: "11", Title: "a lease is kept alive, and the token that began it is no longer good",
			Seen:  "found here",
			Cause: "lease.go:279, as lease-auth; a proxy that passes the token on has to have its client bring another",
			Text:  "bob has a key with a lease, and keeps it alive. His token ends, as it does after five minutes.",
			Needs: Needs{Auth: true}, Clients: []string{"bob"}, Patience: 2 * time.Second,
			Proofs: []promise.Proof{{What: "a key with a lease", Shows: leased},
				{What: "a change of password", Shows: wrote("password", "m")}},
			Act: func(b *Bench) error {
				if err := b.users("bob", "b/"); err != nil {
					return err
				}
				if _, err := b.keep(b.ctx, "bob", "b/1", 5); err != nil {
					return err
				}
				if err := b.endToken("bob"); err != nil {
					return err
				}
				return b.outlive("bob", 8*time.Second)
			},
		},
		{
			Name: "lease-revoked", N: "11", Title: "a lease that is kept alive is revoked",
			Seen:    "the control of the other two",
			Cause:   "lease.go:307: a proxy finds out by asking for the time to live",
			Text:    "c1 keeps a lease alive, and an operator revokes it on a member: c1 is to be told.",
			Clients: []string{"c1"}, Patience: 4 * time.Second,
			Proofs: []promise.Proof{{What: "a lease revoked", Shows: wrote("revoke", "")}},
			Act: func(b *Bench) error {
				id, err := b.keep(b.ctx, "c1", "b/1", 3)
				if err != nil {
					return err
				}
				if _, err := b.History.Wait(b.ctx, 0, func(e history.Event) bool {
					return e.Write != nil && e.Write.Op == promise.Kept
				}); err != nil {
					return err
				}
				c, err := b.At(b.ctx, "m1")
				if err != nil {
					return err
				}
				_, err = c.Revoke(b.ctx, id)
				return err
			},
		},
	}
}

// leased is that a key was written with a lease.
func leased(e history.Event) bool {
	return e.Write != nil && e.Write.Op == "put" && e.Write.Lease != 0 && e.Write.Err == ""
}

// outlive waits until a client's lease has been renewed three times more, or its key has gone; no longer than its lease
// lives where nobody renews it.
func (b *Bench) outlive(client string, longest time.Duration) error {
	ctx, cancel := context.WithTimeout(b.ctx, longest)
	defer cancel()
	renewed := 0
	_, _ = b.History.Wait(ctx, b.History.Len(), func(e history.Event) bool {
		if e.Who == client && e.Write != nil && e.Write.Op == promise.Kept {
			renewed++
		}
		return renewed == 3 || e.Commit != nil && e.Commit.Op == "delete"
	})
	return context.Cause(b.ctx)
}

// keep has a client write a key with a lease, and keep that alive. Each word that it is told is recorded.
func (b *Bench) keep(ctx context.Context, client, key string, ttl int64) (clientv3.LeaseID, error) {
	c, err := b.client(client)
	if err != nil {
		return 0, err
	}
	r, err := c.Grant(b.ctx, ttl)
	if err != nil {
		return 0, err
	}
	if _, err := c.Put(b.ctx, key, "v", clientv3.WithLease(r.ID)); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancel(ctx)
	ch, err := c.KeepAlive(ctx, r.ID)
	if err != nil {
		cancel()
		return 0, err
	}
	add := func(op, key string) {
		b.History.Add(history.Event{Who: client, Write: &history.Write{Began: b.History.Now(), Op: op, Key: key,
			Lease: int64(r.ID)}})
	}
	leader := ""
	if requires(ctx) {
		leader = promise.NoLeader
	}
	add(promise.Keep, leader)
	done := make(chan struct{})
	b.keeping = append(b.keeping, func() { cancel(); <-done })
	go func() {
		defer close(done)
		for range ch {
			add(promise.Kept, "")
		}
		if ctx.Err() == nil {
			add(promise.Lapsed, "")
		}
	}()
	return r.ID, nil
}

// endToken has the members forget a user's token, as they do after five minutes, and at once when a password is set.
func (b *Bench) endToken(user string) error {
	return b.Administer(b.ctx, "password", func(c *clientv3.Client) error {
		_, err := c.UserChangePassword(b.ctx, user, user)
		return err
	})
}
