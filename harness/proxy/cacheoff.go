package proxy

import (
	"errors"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/proxy/grpcproxy/cache"
)

// CacheOff is the flag of PR 15254: the proxy keeps no answers. Serializable reads are then as old as the member that
// answers.
func CacheOff() Variant {
	return Variant{
		Name:   "cache-off",
		Source: "etcd PR 15254",
		Claim:  "serializable reads become eventually consistent, as they are on a member",
		kv:     func(w *Wiring) pb.KVServer { return oneCache(w, noCache{}) },
	}
}

// noCache is a cache.Cache that forgets at once.
type noCache struct{}

var errMiss = errors.New("not exist")

func (noCache) Add(*pb.RangeRequest, *pb.RangeResponse)         {}
func (noCache) Get(*pb.RangeRequest) (*pb.RangeResponse, error) { return nil, errMiss }
func (noCache) Compact(int64)                                   {}
func (noCache) Invalidate(key, endkey []byte)                   {}
func (noCache) Size() int                                       { return 0 }
func (noCache) Close()                                          {}

var _ cache.Cache = noCache{}
