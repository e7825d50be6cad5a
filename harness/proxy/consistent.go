package proxy

import (
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"ghostroute/harness/proxy/fresh"
)

// Consistent is our own proxy whose cache is linearizable: one watch on every key clears what changes, and a barrier
// that all who wait share tells how far the watch must have come before an entry may be answered.
func Consistent() Variant {
	return Variant{
		Name:   "consistent",
		Source: "ours, after Kubernetes' KEP-2340: a watched cache and a barrier (harness/proxy/fresh)",
		Claim:  "every answer is linearizable, the cached ones too",
		kv:     func(w *Wiring) pb.KVServer { return fenced(w, fresh.FencedOptions{Patience: barrierPatience}) },
	}
}

// barrierPatience is short beside what fresh allows by default: on a bench everything is a millisecond away, and what
// is held is held.
const barrierPatience = 100 * time.Millisecond

// fenced is a fresh.Fenced that ends with the proxy.
func fenced(w *Wiring, o fresh.FencedOptions) pb.KVServer {
	f := fresh.NewFenced(w.Ctx, w.Client, o)
	w.After(func() { <-f.Done() })
	select { // what is read before the watch stands is not kept, and a bench would fill its caches for nothing
	case <-f.Stands():
	case <-w.Ctx.Done():
	case <-time.After(time.Second): // etcd cannot be reached, or refuses: serve all the same, as stock does
	}
	return f
}
