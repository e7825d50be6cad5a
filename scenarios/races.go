package scenarios

import (
	"cmp"

	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness/history"
	"ghostroute/harness/keys"
	"ghostroute/harness/proxy"
	"ghostroute/harness/verdict"
)

// races: two things pass one proxy at once, in the worst order.
func races() []Scenario {
	const theme = "races"
	return []Scenario{
		{
			Name: "read-during-write", Theme: theme, Title: "a read passes while a delete is on its way",
			Seen: "etcd PR 21870",
			Text: "There is one proxy. It clears its cache, and the delete is held on its way to etcd; the gateways read " +
				"meanwhile and the old answer is cached again. Then the delete arrives.",
			Needs: oneProxy, Unheld: true, Where: AtRPC,
			Proofs: always(verdict.Proof{Fault: history.Hold, At: "p1"}),
			Act: func(t *Trial) error {
				return t.withheld("p1", proxy.Hold{RPC: t.deleteRPC(), Key: t.ServiceKey("v1-a"), Point: history.BeforeMember},
					func() error { return t.Leave(t.ctx, "v1-a") },
					t.everybodyReads)
			},
		},
		{
			Name: "read-during-put", Theme: theme, Title: "a read passes while a registration is on its way",
			Seen: "etcd PR 21870, for Put",
			Text: "There is one proxy. It clears its cache, and v1-c's Put is held on its way to etcd; the gateways read " +
				"meanwhile and the answer without v1-c is cached again. Then the Put arrives.",
			Needs: oneProxy, Unheld: true, Where: AtRPC,
			Proofs: always(verdict.Proof{Fault: history.Hold, At: "p1"}),
			Act: func(t *Trial) error {
				rpc := cmp.Or(t.Topology.Variant.DeleteRPC, "Put") // a variant that deletes in a transaction puts in one
				return t.withheld("p1", proxy.Hold{RPC: rpc, Key: t.ServiceKey("v1-c"), Point: history.BeforeMember},
					func() error { _, err := t.Register(t.ctx, "v1-c"); return err },
					t.everybodyReads)
			},
		},
		{
			Name: "read-during-txn", Theme: theme, Title: "a read passes while a transaction is on its way",
			Seen: "grpcproxy/kv.go, Txn: it clears after the write, as Put and DeleteRange do not",
			Text: "There is one proxy. v1-a crashes, and an operator deletes everything from \"/micro/registry/\" to v1-b's " +
				"key in a transaction, which is held on its way to etcd; the gateways read meanwhile. Then the transaction " +
				"arrives, and what they read is cleared, although it begins after the first key that was deleted.",
			Needs: oneProxy, Unheld: true, Where: AtRPC,
			Proofs: always(verdict.Proof{Fault: history.Hold, At: "p1", RPC: "Txn"}),
			Act: func(t *Trial) error {
				return t.crashed("v1-a", func() error {
					op := clientv3.OpDelete(keys.Registry, clientv3.WithRange(t.ServiceKey("v1-b")))
					return t.withheld("p1", proxy.Hold{RPC: "Txn", Key: keys.Registry, Point: history.BeforeMember},
						func() error { return t.txn(op) }, t.everybodyReads)
				})
			},
		},
		{
			Name: "write-during-read", Theme: theme, Title: "a delete passes while a serializable answer is on its way",
			Seen: "grpcproxy/kv.go, Range: cache.Add when the answer comes, whatever has been cleared since",
			Text: "There is one proxy, and it has no entry. g1's read has been answered by etcd and is held on its way " +
				"back; v1-a deregisters meanwhile. Then the answer arrives, and is cached.",
			Needs: oneProxy, Unheld: true, Where: AtRPC,
			Proofs: always(verdict.Proof{Fault: history.Hold, At: "p1", RPC: "Range"}),
			Act: func(t *Trial) error {
				return t.heldRead(func() error { return t.Read(t.ctx, t.Gateways()[0]) })
			},
		},
		{
			Name: "write-during-linearizable-read", Theme: theme,
			Title: "a delete passes while a linearizable answer is on its way",
			Seen:  "the same, and \"cache linearizable as serializable\" two lines above it",
			Text: "As before, but it is an operator's linearizable read that is held: what it was told is given to every " +
				"gateway afterwards.",
			Needs: oneProxy, Unheld: true, Where: AtRPC,
			Proofs: always(verdict.Proof{Fault: history.Hold, At: "p1", RPC: "Range"}),
			Act: func(t *Trial) error {
				return t.heldRead(func() error {
					return t.as(func(c *clientv3.Client) error {
						_, err := c.Get(t.ctx, t.ServicePrefix(), clientv3.WithPrefix())
						return err
					})
				})
			},
		},
	}
}

// heldRead clears the one proxy's entry by a registration through it, holds the answer of a read, and has v1-a
// deregister meanwhile. From the registration on no watch delivers: a gateway that got v1-c's event late would read in
// the background, and file that answer over the one that was held.
func (t *Trial) heldRead(read func() error) error {
	defer t.deafen()()
	if _, err := t.Register(t.ctx, "v1-c"); err != nil {
		return err
	}
	if err := t.Cluster.WaitApplied(t.ctx, 0); err != nil {
		return err
	}
	return t.withheld("p1", proxy.Hold{RPC: "Range", Key: t.ServicePrefix()}, read, func() error {
		if err := t.Leave(t.ctx, "v1-a"); err != nil {
			return err
		}
		return t.delivered(t.ctx, "p1")
	})
}

func (t *Trial) everybodyReads() error {
	for _, g := range t.Gateways() {
		if err := t.Read(t.ctx, g); err != nil {
			return err
		}
	}
	return nil
}

// deleteRPC is what a deletion is on its way to etcd.
func (t *Trial) deleteRPC() string { return cmp.Or(t.Topology.Variant.DeleteRPC, "DeleteRange") }
