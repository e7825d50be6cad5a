package model

import (
	"fmt"
	"slices"
	"strings"

	"ghostroute/harness/explore/plan"
	"ghostroute/harness/keys"
)

// state is the store at one moment, and what made it.
type state struct {
	kvs      []kv  // by key
	revision int64 // the header's of an answer read from it
	by       writer
	via      int    // the proxy that the write went through, or direct
	key, end string // what was written; "" for the end of a lease
	lost     bool   // the proxy never learnt that it was done
	done     int    // when etcd did it, on the model's clock
	cleared  int    // when the proxy invalidated for it, 0 if it did not before
}

type kv struct {
	plan.KV
	lease string
}

// writer is what kind of call wrote.
type writer int

const (
	byCall   writer = iota // a Put, a DeleteRange or an operation of a transaction
	byNested               // inside a transaction inside a transaction
	byRevoke
	byExpiry
)

// member is how far a member has applied what the cluster agreed on.
type member struct {
	applied   int // state of the store
	compacted int64
	forbidden clients
	cut       bool // from its peers: it applies nothing and can neither write nor read linearizably
}

// clients is a set that is never changed, only replaced.
type clients map[string]bool

// request is a RangeRequest without its mode: the cache files both modes under the same key (kv.go, Range).
type request struct {
	key, end string
	shape    plan.Shape // Linearizable, Past and Ago are zero
	revision int64      // the revision it asks for, 0 for none
}

// requestOf is the request of a read made when the newest revision is now.
func requestOf(keys string, shape plan.Shape, now int64) request {
	r := request{shape: shape}
	r.key, r.end, _ = plan.Bounds(keys) // they were checked when the plan was read
	r.shape.Linearizable, r.shape.Past, r.shape.Ago = false, false, 0
	if shape.Past {
		r.revision = max(now-int64(shape.Ago), 1)
	}
	return r
}

// within are the keys of a range.
func (s *state) within(key, end string) (list []plan.KV) {
	for _, x := range s.kvs {
		if keys.In(x.Key, key, end) {
			list = append(list, x.KV)
		}
	}
	return list
}

// contents is the answer to a request from a state (etcdserver/txn/range.go).
func (r request) contents(s *state) (kvs []plan.KV, n int64, more bool) {
	kvs = s.within(r.key, r.end)
	if n = int64(len(kvs)); r.shape.Count {
		return nil, n, false
	}
	if r.shape.Sort != "" {
		sortKVs(kvs, r.shape.Sort)
	}
	if l := r.shape.Limit; l > 0 && len(kvs) > l {
		kvs, more = kvs[:l], true
	}
	for i := range kvs {
		if r.shape.KeysOnly {
			kvs[i].Value = ""
		}
	}
	return kvs, n, more
}

func sortKVs(kvs []plan.KV, by string) {
	target, order, _ := strings.Cut(by, ":")
	compare := func(a, b plan.KV) int {
		switch target {
		case "mod":
			return int(a.Mod - b.Mod)
		case "create":
			return int(a.Create - b.Create)
		case "version":
			return int(a.Version - b.Version)
		case "value":
			return strings.Compare(sortValue(a), sortValue(b))
		}
		return strings.Compare(a.Key, b.Key)
	}
	slices.SortStableFunc(kvs, func(a, b plan.KV) int {
		if order == "down" {
			return compare(b, a)
		}
		return compare(a, b)
	})
}

// sortValue is a value as far as its order goes. An instance's is go-micro's JSON, which begins with a brace and is in
// the keys' order.
func sortValue(x plan.KV) string {
	if strings.HasPrefix(x.Key, keys.Registry) {
		return "{" + x.Key
	}
	return x.Value
}

func (m *Model) last() *state { return m.states[len(m.states)-1] }

func (m *Model) revision() int64 { return m.last().revision }

// atRevision is the state of the store at a revision.
func (m *Model) atRevision(revision int64) int {
	i := len(m.states) - 1
	for m.states[i].revision > revision {
		i--
	}
	return i
}

// push makes a new state of the store inside the write that began at revision base.
func (m *Model) push(kvs []kv, base int64, c state) {
	c.kvs, c.revision, c.done = kvs, base+1, m.clock
	m.states = append(m.states, &c)
}

// put writes a key inside the write that began at revision base; step is the number of the step that wrote it.
func (m *Model) put(key, lease string, step int, base int64, c state) {
	x := kv{plan.KV{Key: key, Mod: base + 1, Create: base + 1, Version: 1, HasLease: lease != ""}, lease}
	if !strings.HasPrefix(key, keys.Registry) {
		x.Value = fmt.Sprint(step)
	}
	kvs := slices.Clone(m.last().kvs)
	i, found := slices.BinarySearchFunc(kvs, key, func(a kv, key string) int { return strings.Compare(a.Key, key) })
	if found {
		x.Create, x.Version = kvs[i].Create, kvs[i].Version+1
		kvs[i] = x
	} else {
		kvs = slices.Insert(kvs, i, x)
	}
	c.key = key
	m.push(kvs, base, c)
}

// drop deletes keys; where there are none, nothing happens and no revision is made.
func (m *Model) drop(gone func(kv) bool, base int64, c state) {
	kvs := slices.DeleteFunc(slices.Clone(m.last().kvs), gone)
	if len(kvs) < len(m.last().kvs) {
		m.push(kvs, base, c)
	}
}

func (m *Model) dropRange(key, end string, base int64, c state) {
	c.key, c.end = key, end
	m.drop(func(x kv) bool { return keys.In(x.Key, key, end) }, base, c)
}

// applied tells the members: those that are not cut have applied a write when it is acknowledged.
func (m *Model) applied() {
	for _, x := range m.members {
		if !x.cut {
			x.applied, x.compacted, x.forbidden = len(m.states)-1, m.compacted, m.forbidden
		}
	}
}

// mayNot asks a member whether the client has no role; what it answers lags with it.
func (m *Model) mayNot(client string, x *member) bool { return m.plan.Auth && x.forbidden[client] }

// rangeOn is a Range on a member: which state of the store answers it (etcdserver/v3_server.go,
// storage/mvcc/kvstore_txn.go).
func (m *Model) rangeOn(w way, r request, linear bool) (state int, err failure) {
	x := m.asks(w)
	switch {
	case x == nil || linear && x.cut:
		return 0, plan.ErrUnavailable
	case m.mayNot(w.client, x):
		return 0, plan.ErrDenied
	case r.revision > m.states[x.applied].revision:
		return 0, plan.ErrFuture
	case r.revision != 0 && r.revision < x.compacted:
		return 0, plan.ErrCompacted
	}
	return x.applied, ""
}
