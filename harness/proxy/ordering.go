package proxy

import (
	"context"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/ordering"
)

// Ordering is stock with --experimental-serializable-ordering: the upstream client refuses an answer older than one it
// already gave. It stands behind the cache, so it never sees a hit.
func Ordering() Variant {
	return Variant{
		Name:   "serializable-ordering",
		Source: "etcd grpc-proxy --experimental-serializable-ordering (etcdmain/grpc_proxy.go)",
		Claim:  "serializable reads through the proxy never go back in time",
		Flags:  []string{"--experimental-serializable-ordering"},
		NeedsUser: "with authentication on a grpc-proxy with this flag never begins to serve: " +
			"it waits for a read of its own that is refused (etcdmain/grpc_proxy.go)",
		client: func(ctx context.Context, w *Wiring) error {
			w.Client.KV = ordering.NewKV(w.Client.KV, ordering.NewOrderViolationSwitchEndpointClosure(w.Client))
			// etcdmain "waits for linearized read from cluster to recover ordering"; so do we, until ctx ends.
			_, err := w.Client.KV.Get(ctx, "_", clientv3.WithKeysOnly())
			return err
		},
	}
}
