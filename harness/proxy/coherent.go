package proxy

import (
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"ghostroute/harness/proxy/fresh"
)

// Coherent is our own proxy whose cache is bounded in its staleness: as Consistent, but a barrier's word is good for a
// while, so that a hit asks nobody. bound 0 means 250 ms.
func Coherent(bound time.Duration) Variant {
	if bound == 0 {
		bound = 250 * time.Millisecond
	}
	return Variant{
		Name:   "coherent",
		Source: "ours: a watched cache whose barrier runs in the background (harness/proxy/fresh)",
		Claim:  "no answer is older than " + bound.String() + ", and none is older than what its proxy has told of before",
		Age:    bound,
		Asks:   bound / 2,
		kv: func(w *Wiring) pb.KVServer {
			return fenced(w, fresh.FencedOptions{MaxStaleness: bound, Patience: barrierPatience})
		},
	}
}
