package proxy

import (
	"google.golang.org/protobuf/proto"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/proxy/grpcproxy/cache"
)

// OpenEnded is the patch of PR 22398: a range end of one zero byte, which etcd reads as "every key from here on", is
// indexed as that and not as its first key alone.
func OpenEnded() Variant {
	return Variant{
		Name:   "open-ended",
		Source: "etcd PR 22398 (for issue 22397)",
		Claim:  "reads and deletes from a key on are cleared as every other range is",
		kv:     func(w *Wiring) pb.KVServer { return oneCache(w, openEnded{cache.NewCache(cache.DefaultMaxEntries)}) },
	}
}

// openEnded hands upstream's index an end above every key in place of the zero byte. The patch changes the index itself
// to hold ""; from outside, an end of 0xff bytes covers every key that does not begin with as many, which no registry
// key does.
type openEnded struct{ cache.Cache }

var aboveEveryKey = []byte("\xff\xff\xff\xff\xff\xff\xff\xff")

func normal(end []byte) []byte {
	if len(end) == 1 && end[0] == 0 {
		return aboveEveryKey
	}
	return end
}

func (c openEnded) request(req *pb.RangeRequest) *pb.RangeRequest {
	r := proto.Clone(req).(*pb.RangeRequest)
	r.RangeEnd = normal(r.RangeEnd)
	return r
}

func (c openEnded) Add(req *pb.RangeRequest, resp *pb.RangeResponse) {
	c.Cache.Add(c.request(req), resp)
}

func (c openEnded) Get(req *pb.RangeRequest) (*pb.RangeResponse, error) {
	return c.Cache.Get(c.request(req))
}

func (c openEnded) Invalidate(key, endkey []byte) { c.Cache.Invalidate(key, normal(endkey)) }
