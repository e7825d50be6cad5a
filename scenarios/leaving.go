package scenarios

import (
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness"
	"ghostroute/harness/history"
	"ghostroute/harness/service"
	"ghostroute/harness/trial"
	"ghostroute/harness/verdict"
)

// leaving: an instance goes, and is still named.
func leaving() []Scenario {
	const theme = "leaving"
	return []Scenario{
		{
			Name: "deregister-elsewhere", Theme: theme, Title: "an instance deregisters through another proxy",
			Seen: "the incident; etcd issues 10909, 14665; PR 14478",
			Text: "v1-a deregisters and stops, in good order, through p1. Gateways on other proxies have its entry cached.",
			Act:  func(t *Trial) error { return t.Leave(t.ctx, "v1-a") },
		},
		{
			Name: "deregister-same", Theme: theme, Title: "an instance deregisters through the proxy that is read",
			Seen:  "the control: the one case grpcproxy/kv.go was written for",
			Text:  "There is one proxy; v1-a deregisters through it. DeleteRange clears what it touches.",
			Needs: oneProxy,
			Act:   func(t *Trial) error { return t.Leave(t.ctx, "v1-a") },
		},
		{
			Name: "last-instance", Theme: theme, Title: "the only instance of a service deregisters",
			Seen: "go-micro registry/cache/cache.go: on any error of GetService, not-found included, it keeps its expired copy",
			Text: "The service has one instance. It deregisters through p1: truth is that it has none.",
			Needs: func(t *harness.Topology) {
				t.Instances = []string{"v1-a"}
				t.CacheTTL = time.Second // the watch is quicker than that; where it is not, see watch-lost
			},
			Act: func(t *Trial) error {
				i := t.Instance("v1-a")
				if err := i.Stop(t.ctx); err != nil {
					return err
				}
				if err := t.hear(); err != nil {
					return err
				}
				if t.Topology.Scatter { // the worst: a gateway reads on the event before the other proxies have been cleared
					return t.Scatter(t.ctx, i.Key())
				}
				return nil
			},
		},
		{
			Proofs: always(verdict.Proof{Fault: history.Crash, At: "v1-c"}),
			Name:   "crash", Theme: theme, Title: "an instance crashes and its lease expires",
			Seen:  "etcd issue 14665; grpcproxy/lease.go clears nothing",
			Text:  "There is one proxy. v1-c crashes: it deregisters nothing. Its lease runs out and etcd deletes the key.",
			Needs: oneProxy,
			Prepare: func(t *Trial) error {
				_, err := t.Register(t.ctx, "v1-c", func(c *service.Config) { c.TTL = leaseTTL })
				return err
			},
			Act: func(t *Trial) error {
				r, err := t.Cluster.Truth(t.ctx, t.ServiceKey("v1-c"))
				if err == nil && r.Count == 0 {
					err = &trial.Late{What: "the lease of v1-c ended before it crashed"}
				}
				if err != nil {
					return err
				}
				return t.crashed("v1-c", func() error { return t.expire("v1-c") })
			},
		},
		{
			Proofs: always(verdict.Proof{Write: "revoke"}),
			Name:   "revoke-same", Theme: theme, Title: "a lease is revoked through the proxy that is read",
			Seen:  "grpcproxy/lease.go, LeaseRevoke: the cache is not told",
			Text:  "There is one proxy. An operator revokes v1-a's lease through that very proxy; etcd deletes its key.",
			Needs: oneProxy,
			Act: func(t *Trial) error {
				return t.crashed("v1-a", func() error { return t.revoke("v1-a") })
			},
		},
		{
			Name: "direct-delete", Theme: theme, Title: "a key is deleted on a member",
			Seen:  "etcd issue 14665",
			Text:  "There is one proxy. An operator deletes v1-a's key on a member, past the proxy.",
			Needs: oneProxy,
			Act: func(t *Trial) error {
				return t.crashed("v1-a", func() error { return t.on("m1", t.delete(t.ServiceKey("v1-a"))) })
			},
		},
		{
			Name: "rollout", Theme: theme, Title: "a rollout from v1 to v2",
			Seen: "the incident",
			Text: "v2-a and v2-b register, then v1-a and v1-b deregister and stop: each through the proxy it is connected to.",
			Act: func(t *Trial) error {
				for _, id := range []string{"v2-a", "v2-b"} {
					if _, err := t.Register(t.ctx, id); err != nil {
						return err
					}
				}
				for _, id := range []string{"v1-a", "v1-b"} {
					if err := t.Leave(t.ctx, id); err != nil {
						return err
					}
				}
				return nil
			},
		},
		{
			Proofs: always(verdict.Proof{Write: "txn"}),
			Name:   "txn-elsewhere", Theme: theme, Title: "a transaction through another proxy deletes a key",
			Seen: "grpcproxy/kv.go, Txn: only the proxy it passes looks into it",
			Text: "An operator's transaction deletes v1-a's key through p3.",
			Act: func(t *Trial) error {
				return t.crashed("v1-a", func() error { return t.txn(clientv3.OpDelete(t.ServiceKey("v1-a"))) })
			},
		},
		{
			Name: "txn-put", Theme: theme, Title: "a transaction through the proxy that is read overwrites a key",
			Seen: "grpcproxy/kv.go, txnToCache: what a transaction puts is cleared",
			Text: "There is one proxy. v1-a crashes, and an operator's transaction through that proxy puts a " +
				"registration without a node in its place.",
			Needs: oneProxy,
			Act: func(t *Trial) error {
				empty := fmt.Sprintf(`{"name":%q,"version":"v1"}`, t.Topology.Service)
				return t.crashed("v1-a", func() error { return t.txn(clientv3.OpPut(t.ServiceKey("v1-a"), empty)) })
			},
		},
		{
			Where: AtRPC, Proofs: always(verdict.Proof{Write: "txn", At: "p1"}),
			Name: "txn-compare", Theme: theme, Title: "a transaction compares the range and does nothing",
			Seen: "grpcproxy/kv.go, Txn: \"txn may claim an outdated key is updated; be safe and invalidate\"",
			Text: "There is one proxy. An operator deletes v1-a's key on a member, past it; then commits a transaction " +
				"through it that compares every key of the service, and does nothing.",
			Needs: oneProxy,
			Act: func(t *Trial) error {
				return t.crashed("v1-a", func() error { return t.on("m1", t.delete(t.ServiceKey("v1-a"))) })
			},
			After: func(t *Trial) error {
				every := clientv3.Compare(clientv3.Version(t.ServicePrefix()), ">", -1).WithPrefix()
				return t.Inflict(func() error {
					return t.on("p1", func(c *clientv3.Client) error {
						_, err := c.Txn(t.ctx).If(every).Commit()
						return err
					})
				})
			},
		},
		{
			Proofs: always(verdict.Proof{Write: "txn"}),
			Name:   "nested-txn", Theme: theme, Title: "a transaction inside a transaction deletes a key",
			Seen:  "grpcproxy/kv.go, txnToCache: it looks at puts, deletes and ranges, and not at transactions within",
			Text:  "There is one proxy. A transaction through it has a transaction inside that deletes v1-a's key.",
			Needs: oneProxy,
			Act: func(t *Trial) error {
				inner := clientv3.OpTxn(nil, []clientv3.Op{clientv3.OpDelete(t.ServiceKey("v1-a"))}, nil)
				return t.crashed("v1-a", func() error { return t.txn(inner) })
			},
		},
	}
}
