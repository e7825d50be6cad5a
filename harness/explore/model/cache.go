package model

import (
	"go.etcd.io/etcd/pkg/v3/adt"

	"ghostroute/harness/explore/plan"
)

// proxy is one stock grpc-proxy.
type proxy struct {
	member   int          // it asks
	unlinked map[int]bool // members that it cannot reach
	*cache
}

// cache is a proxy's KV cache without its limit of 2048 answers (cache.DefaultMaxEntries), to which no plan comes but
// by Flood.
type cache struct {
	compacted int64 // what was last compacted through this proxy, -1 for nothing
	answers   map[request]entry
	index     adt.IntervalTree // of requests by range, as a map[request]bool
}

// entry is a cached answer.
type entry struct {
	state   int  // of the store, from which it was read
	fromTxn bool // a transaction's
	read    int  // when etcd answered, on the model's clock
	added   int  // when it was filed
}

func newCache() *cache {
	return &cache{compacted: -1, answers: map[request]entry{}, index: adt.NewIntervalTree()}
}

// get is cache.Get. The failure means that the cache itself refuses, without asking etcd.
func (c *cache) get(r request) (e entry, hit bool, err failure) {
	if r.revision > 0 && r.revision < c.compacted {
		delete(c.answers, r)
		return entry{}, false, plan.ErrCompacted
	}
	e, hit = c.answers[r]
	return e, hit, ""
}

// add is cache.Add. A request without a revision counts as revision 0, so that once anything was compacted through this
// proxy no such answer is kept or replaced any more: not even a linearizable read renews an old one.
func (c *cache) add(r request, e entry) {
	if r.revision > c.compacted {
		c.answers[r] = e
	}
	if r.revision != 0 {
		return
	}
	if found := c.index.Find(interval(r.key, r.end)); found != nil {
		found.Val.(map[request]bool)[r] = true
	} else {
		c.index.Insert(interval(r.key, r.end), map[request]bool{r: true})
	}
}

// invalidate is cache.Invalidate.
func (c *cache) invalidate(key, end string) {
	for _, found := range c.index.Stab(interval(key, end)) {
		for r := range found.Val.(map[request]bool) {
			delete(c.answers, r)
		}
	}
	c.index.Delete(interval(key, end))
}

// interval is the interval under which the cache's index files a range (cache/store.go, Add and Invalidate). An end of
// one zero byte, which means "from the key on", is taken as it stands, and so ends before it begins.
func interval(key, end string) adt.Interval {
	if end == "" {
		return adt.NewStringAffinePoint(key)
	}
	return adt.NewStringAffineInterval(key, end)
}
