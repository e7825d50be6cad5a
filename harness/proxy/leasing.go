package proxy

import (
	"context"

	"go.etcd.io/etcd/client/v3/leasing"
)

// Leasing is stock with --experimental-leasing-prefix: the upstream client takes a lease on each key it reads
// linearizably, alone, and answers it from memory while it holds it; another client that writes the key through leasing
// asks it to give the key up first. Ranges of many keys, which is what a registry reads, are not leased, and the
// proxy's own cache stands in front of it all. prefix "" means "/leasing/".
func Leasing(prefix string) Variant {
	if prefix == "" {
		prefix = "/leasing/"
	}
	return Variant{
		Name:      "leasing",
		Source:    "etcd grpc-proxy --experimental-leasing-prefix (etcdmain/grpc_proxy.go)",
		Claim:     "linearizable reads answered locally, invalidated by any client that writes through the same prefix",
		DeleteRPC: "Txn", // every write is a transaction (client/v3/leasing/kv.go)
		Flags:     []string{"--experimental-leasing-prefix=" + prefix},
		NeedsUser: "with authentication on a grpc-proxy with this flag is refused the session its leases need " +
			"(client/v3/leasing)",
		client: func(_ context.Context, w *Wiring) error {
			kv, stop, err := leasing.NewKV(w.Client, prefix)
			if stop != nil {
				w.After(stop)
			}
			if err != nil {
				return err
			}
			w.Client.KV = kv
			return nil
		},
	}
}
