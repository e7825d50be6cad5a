package model

import (
	"fmt"
	"slices"
	"strings"

	"ghostroute/harness/explore/plan"
)

// Sizes of a model's arrays. A plan that needs more is refused with an error.
const (
	maxKeys     = 16
	maxRanges   = 48
	maxRequests = 64  // a set of requests is the bits of a uint64
	maxStates   = 240 // states of the store; a revision is a byte too
	maxTxnOps   = 8   // ranges whose results one transaction files
	maxHolds    = 6
	maxLeases   = 63
	fullCache   = 2048 // cache.DefaultMaxEntries, cache/store.go
)

// row is a state of the store: for each key the revision of its last put in one byte, 0 where it does not exist.
type row [2]uint64

func (r *row) get(key uint8) uint8 { return uint8(r[key>>3] >> (8 * (key & 7))) }

func (r *row) set(key, revision uint8) {
	shift := 8 * (key & 7)
	r[key>>3] = r[key>>3]&^(0xff<<shift) | uint64(revision)<<shift
}

func (r row) masked(m row) row { return row{r[0] & m[0], r[1] & m[1]} }

// keyRange is a range of keys as requests name it.
type keyRange struct {
	key, end string
	covers   uint16 // the keys that etcd finds in it
	mask     row    // the same as a mask over rows
	first    uint8  // the key itself, for a range of one key
	single   bool
}

// request is a RangeRequest without its mode: the cache files both modes under the same key (kv.go, Range).
type request struct {
	rng      uint8
	shape    plan.Shape // Linearizable, Past and Ago are zero
	revision uint8      // the revision it asks for, 0 for none
	whole    bool       // no limit, no order, not only a count: the answer is every key in the range
}

// universe names keys, ranges and requests by small numbers. It only ever grows, so that states made earlier stay right.
type universe struct {
	keys     []string // sorted by when they were first named, not by name: see order
	order    []uint8  // the keys by name
	ranges   []keyRange
	requests []request
	cmp      [maxRanges][maxRanges]relation
}

// relation of two index intervals i and j, as pkg/adt compares the strings.
type relation struct {
	begin    int8 // i.begin against j.begin
	end      int8 // i.end against j.end
	beginEnd int8 // i.begin against j.end
	endBegin int8 // i.end against j.begin
}

func (u *universe) key(name string) (uint8, error) {
	if i := slices.Index(u.keys, name); i >= 0 {
		return uint8(i), nil
	}
	if len(u.keys) == maxKeys {
		return 0, fmt.Errorf("the model has room for %d keys", maxKeys)
	}
	k := uint8(len(u.keys))
	u.keys = append(u.keys, name)
	u.order = append(u.order, k)
	slices.SortFunc(u.order, func(a, b uint8) int { return strings.Compare(u.keys[a], u.keys[b]) })
	for i := range u.ranges {
		u.cover(&u.ranges[i], k)
	}
	return k, nil
}

// cover says whether etcd finds key k in r: an end of one zero byte means every key from r.key on (etcdserver/txn/delete.go, mkGteRange).
func (u *universe) cover(r *keyRange, k uint8) {
	name := u.keys[k]
	in := name == r.key
	if r.end != "" {
		in = name >= r.key && (r.end == "\x00" || name < r.end)
	}
	if in {
		r.covers |= 1 << k
		r.mask.set(k, 0xff)
	}
}

func (u *universe) keyRange(key, end string) (uint8, error) {
	if i := slices.IndexFunc(u.ranges, func(r keyRange) bool { return r.key == key && r.end == end }); i >= 0 {
		return uint8(i), nil
	}
	if len(u.ranges) == maxRanges {
		return 0, fmt.Errorf("the model has room for %d ranges", maxRanges)
	}
	r := keyRange{key: key, end: end, single: end == ""}
	if r.single {
		k, err := u.key(key)
		if err != nil {
			return 0, err
		}
		r.first = k
	}
	for k := range u.keys {
		u.cover(&r, uint8(k))
	}
	i := uint8(len(u.ranges))
	u.ranges = append(u.ranges, r)
	for j := range u.ranges {
		u.cmp[i][j] = relate(&r, &u.ranges[j])
		u.cmp[j][i] = relate(&u.ranges[j], &r)
	}
	return i, nil
}

// interval is the interval under which the cache's index files a range (cache/store.go, Add and Invalidate). An end of one
// zero byte is taken as it stands, and so ends before it begins.
func interval(r *keyRange) (begin, end string) {
	if r.end == "" {
		return r.key, r.key + "\x00" // adt.NewStringAffinePoint
	}
	return r.key, r.end
}

func relate(a, b *keyRange) relation {
	ab, ae := interval(a)
	bb, be := interval(b)
	compare := func(x, y string) int8 { return int8(strings.Compare(x, y)) } // no string here is empty, so none is adt's infinity
	return relation{begin: compare(ab, bb), end: compare(ae, be), beginEnd: compare(ab, be), endBegin: compare(ae, bb)}
}

func (u *universe) request(r request) (uint8, error) {
	r.shape.Linearizable, r.shape.Past, r.shape.Ago = false, false, 0
	r.whole = !r.shape.Count && r.shape.Limit == 0 && r.shape.Sort == ""
	if i := slices.Index(u.requests, r); i >= 0 {
		return uint8(i), nil
	}
	if len(u.requests) == maxRequests {
		return 0, fmt.Errorf("the model has room for %d different requests", maxRequests)
	}
	u.requests = append(u.requests, r)
	return uint8(len(u.requests) - 1), nil
}
