package proxy

import (
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/proxy/grpcproxy/cache"
)

// TTL is the flag of PR 14478: an entry is good for so long and no longer. age 0 means 200 ms, short so that a bench
// need not wait.
func TTL(age time.Duration) Variant {
	if age == 0 {
		age = 200 * time.Millisecond
	}
	return Variant{
		Name:   "ttl",
		Source: "etcd PR 14478 (--experimental-kvproxy-cache-age)",
		Claim:  "no cached answer is older than " + age.String(),
		Age:    age,
		kv: func(w *Wiring) pb.KVServer {
			return oneCache(w, &agingCache{
				Cache: cache.NewCache(cache.DefaultMaxEntries), age: age, born: map[string]time.Time{}})
		},
	}
}

// agingCache is upstream's cache with a time of birth beside each entry. Expired entries are not removed, only not
// answered: the next answer takes their place, and the LRU bounds both.
type agingCache struct {
	cache.Cache
	age time.Duration

	mu   sync.Mutex
	born map[string]time.Time
}

func (c *agingCache) Add(req *pb.RangeRequest, resp *pb.RangeResponse) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if len(c.born) >= 2*cache.DefaultMaxEntries {
		for k, t := range c.born {
			if now.Sub(t) > c.age {
				delete(c.born, k)
			}
		}
	}
	c.Cache.Add(req, resp)
	if kept, err := c.Cache.Get(req); err == nil && kept == resp {
		// after a compaction upstream's cache keeps the old answer and not this one (cache/store.go, Add)
		c.born[entryKey(req)] = now
	}
}

func (c *agingCache) Get(req *pb.RangeRequest) (*pb.RangeResponse, error) {
	c.mu.Lock()
	born := c.born[entryKey(req)]
	c.mu.Unlock()
	resp, err := c.Cache.Get(req)
	if err == nil && time.Since(born) > c.age {
		return nil, errMiss
	}
	return resp, err
}

// entryKey is what upstream's cache keys an entry by.
func entryKey(req *pb.RangeRequest) string {
	b, err := proto.Marshal(req)
	if err != nil {
		panic(err) // as upstream's keyFunc does: a request that came off the wire can be put back on it
	}
	return string(b)
}
