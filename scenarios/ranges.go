package scenarios

import (
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness"
	"ghostroute/harness/gateway"
	"ghostroute/harness/history"
	"ghostroute/harness/keys"
	"ghostroute/harness/registry"
	"ghostroute/harness/verdict"
	"ghostroute/harness/wait"
)

// ranges: it matters which bytes were asked for.
func ranges() []Scenario {
	const theme = "ranges"
	compacting := func(name, where, text string, needs Where, at ...string) Scenario {
		return Scenario{
			Where: needs,
			Proofs: func(harness.Topology) (all []verdict.Proof) {
				for _, node := range at {
					all = append(all, verdict.Proof{Write: "compact", At: node})
				}
				return all
			},
			Name: name, Theme: theme, Title: "etcd is compacted " + where, Text: text,
			Seen: "grpcproxy/cache/store.go, Compact: it concerns answers at a revision, and a registry read has none",
			Act: func(t *Trial) error {
				if err := t.Leave(t.ctx, "v1-a"); err != nil {
					return err
				}
				return t.Inflict(func() error {
					for _, node := range at {
						if err := t.compact(node); err != nil {
							return err
						}
					}
					return nil
				})
			},
		}
	}
	return []Scenario{
		compacting("compaction-own", "through the stale proxies", "v1-a deregisters through p1; then somebody "+
			"compacts, through each of the proxies.",
			AtProxy, "p1", "p2", "p3"),
		compacting("compaction-other", "through another proxy", "v1-a deregisters through p1; then somebody compacts, "+
			"through p1 as well.",
			AtProxy, "p1"),
		compacting("compaction-member", "on a member", "v1-a deregisters through p1; then etcd's own auto-compaction "+
			"comes by, on a member.",
			Anywhere, "m1"),
		{
			NA: func(f Fix) string {
				if Topology(Scenario{}, f, "").Mode == registry.LinearizableGet {
					return "it is a cure of GetService, and that is not what reads here"
				}
				return ""
			},
			Name: "from-key", Theme: theme, Title: "a read from a key on",
			Seen: "etcd issue 22397",
			Text: "There is one proxy. A gateway that reads from a key on (range end \\x00) is indexed under that key " +
				"alone: v1-a deregisters through the very proxy, and the entry stays.",
			Needs: oneProxy,
			Only:  gateway.EachRequest,
			Ask:   fromKey,
			Act:   func(t *Trial) error { return t.Leave(t.ctx, "v1-a") },
		},
		{
			Name: "delete-from-key", Theme: theme, Title: "a delete from a key on",
			Seen: "etcd issue 22397: cache/store.go, Invalidate, takes a range end of one zero byte for a byte",
			Text: "There is one proxy. An operator deletes everything from \"/micro/\" on, through that very proxy. The " +
				"registry is empty; the proxy clears only entries that hold \"/micro/\" itself.",
			Needs: oneProxy,
			Act: func(t *Trial) error {
				for _, id := range []string{"v1-a", "v1-b"} {
					if err := t.Instance(id).Crash(); err != nil {
						return err
					}
				}
				return t.as(t.delete("/micro/", clientv3.WithFromKey()))
			},
		},
		{
			Name: "list-services", Theme: theme, Title: "ListServices, beside GetService",
			Seen: "go-micro registry/etcd/etcd.go: ListServices is serializable too; the proxy keys its cache by the " +
				"request's bytes",
			Text: "Gateways list the services rather than get one. v1-a deregisters through p1.",
			Only: gateway.EachRequest,
			Ask:  list,
			Act:  func(t *Trial) error { return t.Leave(t.ctx, "v1-a") },
		},
		{
			Where: AtRPC, Proofs: always(verdict.Proof{Write: "txn", At: "p2", Count: pressure}),
			Name: "lru-pressure", Theme: theme, Title: "more ranges than the cache holds",
			Seen: "grpcproxy/cache/store.go: an LRU of 2,048 answers",
			Text: "v1-a deregisters through p1. Then 2,400 other ranges are read through every proxy, as a busy day would: " +
				"the ghost is evicted.",
			Act: func(t *Trial) error { return t.Leave(t.ctx, "v1-a") },
			After: func(t *Trial) error {
				return t.Inflict(func() error {
					for _, p := range t.everyProxy() {
						if err := t.on(p, t.press); err != nil {
							return err
						}
					}
					return nil
				})
			},
		},
	}
}

// pressure is how many transactions press reads with.
const pressure = 40

// press reads 2,400 ranges. Each Range inside a transaction is an entry of its own; etcd allows 128 operations in one,
// and leasing doubles them.
func (t *Trial) press(c *clientv3.Client) error {
	for n := range pressure {
		var ops []clientv3.Op
		for i := range 60 {
			ops = append(ops, clientv3.OpGet(fmt.Sprintf("/pressure/%d/%d", n, i)))
		}
		err := wait.For(t.ctx, func() string { // a leader may change on a busy machine; reading again harms nothing
			if _, err := c.Txn(t.ctx).Then(ops...).Commit(); err != nil {
				return err.Error()
			}
			return ""
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// fromKey reads everything from the first key of the service on, as a client that walks the registry does.
func fromKey(t *Trial, g *gateway.Gateway) history.Resolve {
	return t.ask(g, t.ServicePrefix(), clientv3.WithFromKey())
}

// list is go-micro's ListServices.
func list(t *Trial, g *gateway.Gateway) history.Resolve {
	return t.ask(g, keys.Registry, clientv3.WithPrefix())
}

// ask has a gateway read a range, for what it says of the service.
func (t *Trial) ask(g *gateway.Gateway, key string, opts ...clientv3.OpOption) history.Resolve {
	r, _ := g.Read(t.ctx, t.Topology.Service, key, opts...)
	return r
}
