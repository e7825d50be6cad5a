package model

import "math/bits"

// proxy is one stock grpc-proxy's KV cache: an LRU of answers and the index that finds them by range.
type proxy struct {
	member    uint8  // who it asks
	unlinked  uint8  // the members it cannot reach
	compacted int16  // the cache's compactedRev: what was last compacted through this proxy, -1 for nothing
	clock     uint16 // of the LRU
	present   uint64 // which requests have an answer
	entry     [maxRequests]entry
	filed     [maxRanges]uint64 // for each interval in the index, the requests that its node lists
	index     index
}

// entry is a cached answer.
type entry struct {
	state   uint8  // the state of the store it was read from
	how     origin // which call filed it
	touched uint16 // the LRU's clock when it was last used
	read    uint16 // when etcd answered, on the model's clock
	added   uint16 // when it was filed
}

// origin says which of the proxy's calls filed an answer.
type origin uint8

const (
	fromRange origin = iota
	fromTxn
)

// get is cache.Get. compacted means the cache itself refuses, without asking etcd.
func (p *proxy) get(u *universe, req uint8) (hit, compacted bool) {
	if r := int16(u.requests[req].revision); r > 0 && r < p.compacted {
		p.present &^= 1 << req
		return true, true
	}
	if p.present&(1<<req) == 0 {
		return false, false
	}
	p.clock++
	p.entry[req].touched = p.clock
	return true, false
}

// add is cache.Add. A request without a revision counts as revision 0, so that once anything was compacted through this
// proxy no such answer is kept or replaced any more: not even a linearizable read renews an old one.
func (p *proxy) add(u *universe, req uint8, e entry, most int) {
	r := &u.requests[req]
	if int16(r.revision) > p.compacted {
		p.clock++
		e.touched = p.clock
		p.entry[req] = e
		p.present |= 1 << req
		if most < maxRequests && bits.OnesCount64(p.present) > most {
			p.evict()
		}
	}
	if r.revision != 0 {
		return
	}
	if p.index.find(u, r.rng) == 0 {
		p.index.insert(u, r.rng)
		p.filed[r.rng] = 0
	}
	p.filed[r.rng] |= 1 << req
}

// evict takes out the answer that was used least recently. The index keeps its name.
func (p *proxy) evict() {
	oldest := -1
	for set := p.present; set != 0; set &= set - 1 {
		if i := bits.TrailingZeros64(set); oldest < 0 || p.entry[i].touched < p.entry[oldest].touched {
			oldest = i
		}
	}
	p.present &^= 1 << oldest
}

// invalidate is cache.Invalidate.
func (p *proxy) invalidate(u *universe, rng uint8) {
	for set := p.index.stab(u, rng); set != 0; set &= set - 1 {
		p.present &^= p.filed[bits.TrailingZeros64(set)]
	}
	p.index.remove(u, rng)
}

// compact is cache.Compact.
func (p *proxy) compact(revision int16) { p.compacted = max(p.compacted, revision) }
