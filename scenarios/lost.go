package scenarios

import (
	"errors"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness/gateway"
	"ghostroute/harness/history"
	"ghostroute/harness/keys"
	"ghostroute/harness/proxy"
	"ghostroute/harness/registry"
	"ghostroute/harness/verdict"
)

// lost: etcd does what it is asked to, and its answer is lost on the way back to the proxy.
func lost() []Scenario {
	const theme = "lost"
	return []Scenario{
		{
			Name: "txn-lost", Theme: theme, Title: "a transaction is done, and its answer is lost",
			Seen: "the explorer (lost-txn); grpcproxy/kv.go:117: Txn returns on an error before it clears anything",
			Text: "There is one proxy. v1-a crashes, and an operator deletes its key in a transaction. etcd does it; the " +
				"answer does not come back to the proxy, as when its connection breaks, and the operator is told so.",
			Needs: oneProxy, Where: AtRPC,
			Proofs: always(verdict.Proof{Fault: history.Hold, At: "p1", RPC: "Txn"}),
			Act: func(t *Trial) error {
				return t.crashed("v1-a", func() error {
					return t.lose(proxy.Hold{RPC: "Txn", Key: keys.Registry}, func() error {
						return t.txn(clientv3.OpDelete(t.ServiceKey("v1-a")))
					})
				})
			},
		},
		{
			Name: "many-changes", Theme: theme, Title: "an instance comes and goes a hundred times and more",
			Seen: "grpcproxy/cache/store.go, Invalidate: a proxy that lost one in a hundred would pass every other scenario",
			Text: "There is one proxy. v1-b deregisters; then an operator writes and deletes the key of v1-a through that " +
				"proxy, 65 times, and reads after each as the gateways do, until an answer is not what was just written.",
			Needs: oneProxy, Only: gateway.EachRequest,
			NA: func(f Fix) string {
				if f.Apply == nil && f.Deploy == nil && f.Remedy == nil {
					return ""
				}
				return "it looks for how often the stock proxy's own cache forgets"
			},
			Act: func(t *Trial) error {
				if err := t.Leave(t.ctx, "v1-b"); err != nil {
					return err
				}
				return t.comeAndGo(t.ServiceKey("v1-a"), 65)
			},
		},
	}
}

// comeAndGo writes a key as it is and deletes it, again and again, and reads after each what gateways read. It is over
// when an answer is wrong: so the cache stays as it is then.
func (t *Trial) comeAndGo(key string, times int) error {
	was, err := t.Cluster.Truth(t.ctx, key)
	if err != nil {
		return err
	}
	if len(was.Kvs) == 0 {
		return fmt.Errorf("%s is not there to come and go", key)
	}
	put := clientv3.OpPut(key, string(was.Kvs[0].Value), clientv3.WithLease(clientv3.LeaseID(was.Kvs[0].Lease)))
	read := []clientv3.OpOption{clientv3.WithPrefix()}
	if t.Topology.Mode == registry.Serializable {
		read = append(read, clientv3.WithSerializable())
	}
	return t.as(func(c *clientv3.Client) error {
		for n := range 2 * times {
			op, there := clientv3.OpDelete(key), 0
			if n%2 > 0 {
				op, there = put, 1
			}
			if _, err := c.Do(t.ctx, op); err != nil {
				return err
			}
			t.filled = t.History.Now() // what was cached has just been cleared
			r, err := c.Get(t.ctx, t.ServicePrefix(), read...)
			if err != nil || len(r.Kvs) != there {
				return err
			}
		}
		return nil
	})
}

// lose does something at p1 whose answer is lost on its way from etcd. It fails if that does not fail.
func (t *Trial) lose(hold proxy.Hold, do func() error) error {
	g := t.Hold("p1", hold)
	defer g.Release()
	failed := make(chan error, 1)
	go func() { failed <- do() }()
	if err := g.Caught(t.ctx); err != nil {
		return errors.Join(err, <-failed)
	}
	g.Lose()
	if err := <-failed; err == nil && g != nil {
		return errors.New("the answer was lost, and yet the operator was told that all is well")
	}
	return nil
}
