package scenarios

import (
	"errors"

	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness/history"
	"ghostroute/harness/keys"
	"ghostroute/harness/proxy"
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
	}
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
