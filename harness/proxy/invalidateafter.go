package proxy

import (
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/proxy/grpcproxy/cache"
)

// InvalidateAfter is the patch of PR 21870: Put and DeleteRange clear the cache before the write, as stock does, and
// once more after it.
func InvalidateAfter() Variant {
	return Variant{
		Name:   "invalidate-after",
		Source: "etcd PR 21870",
		Claim:  "a read during a write through the same proxy no longer leaves the old answer behind",
		kv: func(w *Wiring) pb.KVServer {
			kv := oneCache(w, cache.NewCache(cache.DefaultMaxEntries))
			kv.after = true
			return kv
		},
	}
}
