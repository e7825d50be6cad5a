package beyond

import (
	"context"
	"path/filepath"
	"strings"
	"time"

	"ghostroute/harness/history"
	"ghostroute/harness/promise"
	"ghostroute/harness/scratch"
)

// others: neither watches nor leases.
func others() []Scenario {
	return []Scenario{
		{
			Name: "sync", N: "17", Title: "a client asks who the members are",
			Seen:  "etcd issue 17887 is near; clientv3's AutoSyncInterval does it",
			Cause: "cluster.go:176: the one member is the proxy's --advertise-client-url, 127.0.0.1:23790 unless told otherwise",
			Text: "c1 comes by way of the balancer, and takes its endpoints from the list of members, as AutoSyncInterval has " +
				"a client do. Then it reads.",
			Needs: Needs{Advertise: "127.0.0.1:23790"}, Clients: []string{"c1"},
			Proofs: []promise.Proof{{What: "a list of members", Shows: func(e history.Event) bool {
				return e.Write != nil && e.Write.Op == promise.Sync
			}}},
			Act: func(b *Bench) error { return b.sync("c1") },
		},
		{
			Name: "event-cached", N: "7", Title: "a client reads upon an event, and has read before",
			Seen:  "what go-micro's watchers do, and every registry that takes an event for a hint",
			Cause: "kv.go:49: the entry is from before the event, and the proxy's watch clears nothing",
			Text: "c1 reads a key and watches it. It is written on a member three times; upon each event " +
				"c1 reads it again, and again for a moment if that is from before.",
			Clients: []string{"c1"},
			Act:     func(b *Bench) error { return b.readsUpon("c1", "k", 3) },
		},
		{
			Name: "rewound", N: "16", Title: "a backup is restored behind a proxy that runs on",
			Seen: "found by reading; etcdutl snapshot restore has --bump-revision for clients' sake, and nobody tells proxies",
			Cause: "kv.go:49, cache/store.go:84: an entry has no age, and nothing tells a proxy that the cluster behind it is " +
				"another",
			Text: "c1 lists. The member is stopped, and comes back with a backup of before the last two changes. c1 lists " +
				"again: " +
				"it is answered keys and a revision that do not exist.",
			Clients: []string{"c1"},
			Proofs:  []promise.Proof{{What: "a member that was set back", Shows: faulted(history.Rewind, "m1")}},
			NA:      slowGateway,
			Act: func(b *Bench) error {
				if _, err := b.put("k/1"); err != nil {
					return err
				}
				dir, remove, err := scratch.Folder()
				if err != nil {
					return err
				}
				defer remove()
				m, backup := b.Cluster.Members[0], filepath.Join(dir, "backup")
				if err := m.Backup(b.ctx, backup); err != nil {
					return err
				}
				if _, err := b.put("k/2", "k/3"); err != nil {
					return err
				}
				if _, err := b.list("c1", "k/"); err != nil {
					return err
				}
				b.unfollow()
				if err := m.Rewind(b.ctx, backup); err != nil {
					return err
				}
				b.follow()
				if _, err := b.put("k/4"); err != nil {
					return err
				}
				_, err = b.list("c1", "k/")
				return err
			},
		},
	}
}

// slowGateway is why a scenario in which the member is gone for a moment makes no sense with etcd's L4 gateway.
func slowGateway(f Fix) string {
	if f.Variant.Relays {
		return "etcd's L4 gateway looks for a member that was gone once a minute"
	}
	return ""
}

// sync has a client take its endpoints from the list of members, and read.
func (b *Bench) sync(client string) error {
	c, err := b.client(client)
	if err != nil {
		return err
	}
	if err := c.Sync(b.ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(b.ctx, time.Second)
	defer cancel()
	w := &history.Write{Began: b.History.Now(), Op: promise.Sync, Key: strings.Join(c.Endpoints(), " ")}
	if _, err := c.Get(ctx, "k"); err != nil {
		w.Err = err.Error()
	}
	b.History.Add(history.Event{Who: client, Write: w})
	return nil
}
