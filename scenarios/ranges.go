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
	frozen := compacting("compaction-frozen", "through the stale proxies, and an operator reads", "v1-a deregisters "+
		"through p1; then somebody compacts, through each of the proxies; then an operator reads the service through "+
		"each, linearizably. A proxy that compacted files nothing any more: what it has, it keeps.",
		AtRPC, "p1", "p2", "p3")
	frozen.Seen = "grpcproxy/cache/store.go, Add: a read of the present has revision 0, and 0 is compacted"
	frozen.After = func(t *Trial) error {
		for _, p := range t.everyProxy() {
			err := t.on(p, func(c *clientv3.Client) error {
				_, err := c.Get(t.ctx, t.ServicePrefix(), clientv3.WithPrefix())
				return err
			})
			if err != nil {
				return err
			}
		}
		return nil
	}
	edge := func(name, which, id string) Scenario {
		return Scenario{
			NA:   notByGetService,
			Name: name, Theme: theme, Title: "the " + which + " key of a range is deleted",
			Seen: "grpcproxy/cache/store.go, Add: an entry is indexed by its interval, whose end is not in it",
			Text: "There is one proxy. Gateways read from v1-a's key to v1-b's, both included; " + id + " deregisters " +
				"through that proxy, and the entry is cleared: both ends of the interval are where they should be.",
			Needs: oneProxy,
			Only:  gateway.EachRequest,
			Ask:   fromTo("v1-a", "v1-b"),
			Act:   func(t *Trial) error { return t.Leave(t.ctx, id) },
		}
	}
	return []Scenario{
		edge("first-of-range", "first", "v1-a"),
		edge("last-of-range", "last", "v1-b"),
		{
			Name: "delete-range", Theme: theme, Title: "a range is deleted through the proxy that is read",
			Seen: "grpcproxy/kv.go, DeleteRange: it clears what the whole range touches",
			Text: "There is one proxy. v1-a crashes, and an operator deletes everything from \"/micro/registry/\" to v1-b's " +
				"key, through that very proxy. What gateways read begins after the first key that was deleted.",
			Needs: oneProxy,
			Act: func(t *Trial) error {
				return t.crashed("v1-a", func() error {
					return t.as(t.delete(keys.Registry, clientv3.WithRange(t.ServiceKey("v1-b"))))
				})
			},
		},
		{
			Name: "other-forms", Theme: theme, Title: "the same range is read in other forms",
			Seen: "grpcproxy/cache/store.go: the whole request is the key, and all forms share one interval",
			Text: "There is one proxy. Gateways read the last two keys of the registry. Before they do, an operator reads " +
				"its last one, its first two, and the last two keys only, count only, and as they were; v1-a deregisters, " +
				"and the operator is first again. No form is answered with another's entry, and each is cleared.",
			Needs: oneProxy,
			Only:  gateway.EachRequest,
			Ask: func(t *Trial, g *gateway.Gateway) history.Resolve {
				return t.ask(g, keys.Registry, lastTwo()...)
			},
			Prepare: func(t *Trial) error {
				for _, key := range []string{"a", "b"} { // no service's, and the first two
					if _, err := t.Cluster.Client().Put(t.ctx, keys.Registry+key, ""); err != nil {
						return err
					}
				}
				return t.everyForm()
			},
			Act: func(t *Trial) error {
				if err := t.Leave(t.ctx, "v1-a"); err != nil {
					return err
				}
				return t.everyForm()
			},
		},
		compacting("compaction-own", "through the stale proxies", "v1-a deregisters through p1; then somebody "+
			"compacts, through each of the proxies.",
			AtProxy, "p1", "p2", "p3"),
		compacting("compaction-other", "through another proxy", "v1-a deregisters through p1; then somebody compacts, "+
			"through p1 as well.",
			AtProxy, "p1"),
		compacting("compaction-member", "on a member", "v1-a deregisters through p1; then etcd's own auto-compaction "+
			"comes by, on a member.",
			Anywhere, "m1"),
		frozen,
		{
			NA:   notByGetService,
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

// notByGetService says why a cure of GetService makes no sense where gateways read otherwise.
func notByGetService(f Fix) string {
	if Topology(Scenario{}, f, "").Mode == registry.LinearizableGet {
		return "it is a cure of GetService, and that is not what reads here"
	}
	return ""
}

// lastTwo is the last two keys of the registry, the last one first.
func lastTwo() []clientv3.OpOption {
	return []clientv3.OpOption{clientv3.WithPrefix(), clientv3.WithSort(clientv3.SortByKey, clientv3.SortDescend),
		clientv3.WithLimit(2)}
}

// everyForm has an operator read the registry in forms that each differ from lastTwo in one thing.
func (t *Trial) everyForm() error {
	return t.as(func(c *clientv3.Client) error {
		r, err := t.Cluster.Truth(t.ctx, keys.Registry)
		if err != nil {
			return err
		}
		for _, form := range []clientv3.OpOption{clientv3.WithLimit(1),
			clientv3.WithSort(clientv3.SortByKey, clientv3.SortNone), clientv3.WithKeysOnly(), clientv3.WithCountOnly(),
			clientv3.WithRev(r.Header.Revision - 1)} {
			opts := append(lastTwo(), clientv3.WithSerializable(), form)
			if _, err := c.Get(t.ctx, keys.Registry, opts...); err != nil {
				return err
			}
		}
		return nil
	})
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

// fromTo reads from one instance's key to another's, both included.
func fromTo(first, last string) Ask {
	return func(t *Trial, g *gateway.Gateway) history.Resolve {
		return t.ask(g, t.ServiceKey(first), clientv3.WithRange(t.ServiceKey(last)+"\x00"))
	}
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
