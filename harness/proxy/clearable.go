package proxy

import (
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/proxy/grpcproxy/cache"
)

// clearable is upstream's cache that can be emptied at once, which upstream's cannot.
type clearable struct {
	mu sync.RWMutex
	cache.Cache
}

func (c *clearable) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.Cache = cache.NewCache(cache.DefaultMaxEntries)
}

func (c *clearable) now() cache.Cache {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.Cache
}

func (c *clearable) Add(req *pb.RangeRequest, resp *pb.RangeResponse)    { c.now().Add(req, resp) }
func (c *clearable) Get(req *pb.RangeRequest) (*pb.RangeResponse, error) { return c.now().Get(req) }
func (c *clearable) Compact(revision int64)                              { c.now().Compact(revision) }
func (c *clearable) Invalidate(key, endkey []byte)                       { c.now().Invalidate(key, endkey) }
func (c *clearable) Size() int                                           { return c.now().Size() }
