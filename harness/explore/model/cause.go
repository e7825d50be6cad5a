package model

import (
	"fmt"
	"math/bits"
	"slices"

	"ghostroute/harness/explore/plan"
)

// Cause is the rule of the proxy that let a wrong answer live.
type Cause string

// The causes. Where says where in etcd v3.7.3 each comes from.
const (
	OtherProxy     Cause = "a write through another proxy"
	DirectWrite    Cause = "a write made on a member"
	LeaseRevoked   Cause = "a lease revoked"
	LeaseExpired   Cause = "a lease expired"
	BeforeWrite    Cause = "forgotten before the write, read again before it was done"
	AnswerInFlight Cause = "a Range answer on its way while the write passed"
	TxnInFlight    Cause = "a transaction's answer on its way while the write passed"
	LaggingMember  Cause = "a miss answered by a member that lagged"
	FromKeyRead    Cause = "a read from a key on, which no write finds"
	FromKeyDelete  Cause = "a delete from a key on, which finds its first key only"
	FromKeyPruned  Cause = "a delete from a key on, which in this tree finds not even its first key"
	NestedTxn      Cause = "a write in a transaction inside a transaction"
	LostTxn        Cause = "a transaction done whose answer was lost"
	Torn           Cause = "half of a transaction filed as an answer"
	PastCompaction Cause = "a read at a revision that etcd has compacted"
	Frozen         Cause = "after a compaction through the proxy nothing renews an entry"
	Identity       Cause = "an answer given to a client that may not read it"
	Unexplained    Cause = "unexplained" // the model is wrong
)

// Causes are all of them that can be found, in a fixed order.
func Causes() []Cause {
	return []Cause{OtherProxy, DirectWrite, LeaseRevoked, LeaseExpired, BeforeWrite, AnswerInFlight, TxnInFlight, LaggingMember,
		FromKeyRead, FromKeyDelete, FromKeyPruned, NestedTxn, LostTxn, Torn, PastCompaction, Frozen, Identity}
}

// Breaks is the check that the cause breaks. After PastCompaction it is "": what the proxy tells then was true at the revision that was
// asked for, and etcd itself would refuse to say it.
func (c Cause) Breaks() string {
	switch c {
	case PastCompaction:
		return ""
	case Identity:
		return "identity"
	}
	return "convergence"
}

// Where is the line of etcd v3.7.3 that explains the cause, and what it does; paths are under server/proxy/grpcproxy.
func (c Cause) Where() string {
	return map[Cause]string{
		OtherProxy:     "kv.go:91 (and 83, 124): only the proxy that a write passes forgets; nobody tells the others",
		DirectWrite:    "kv.go:83, 91, 124: nothing but the proxy's own calls invalidates; it watches nothing",
		LeaseRevoked:   "lease.go:89: LeaseRevoke has no cache at hand, and knows not which keys the lease had",
		LeaseExpired:   "kv.go has no clock: cache/store.go:84 adds an answer without an age",
		BeforeWrite:    "kv.go:83 and 91 invalidate, kv.go:86 and 94 write after that; what is read between is filed and stays",
		AnswerInFlight: "kv.go:72 adds whatever kv.go:62 brought, however much was invalidated meanwhile",
		TxnInFlight:    "kv.go:109 adds a transaction's ranges when its answer comes, whatever was invalidated meanwhile",
		LaggingMember:  "kv.go:62 passes a serializable miss on as serializable; kv.go:72 keeps the lagging member's answer",
		FromKeyRead:    `cache/store.go:97 files the end "\x00" as it stands: an interval that ends before it begins, which adt's Compare finds for no key at all`,
		FromKeyDelete:  `cache/store.go:145 takes the end "\x00" as it stands: an interval that ends before it begins overlaps, to adt's Compare, what holds its first key and nothing else`,
		FromKeyPruned:  `pkg/adt/interval_tree.go:162: for such an interval the subtree below a node to its left is always passed over, whatever is in it`,
		NestedTxn:      "kv.go:98-111: txnToCache has no case for ResponseOp_ResponseTxn",
		LostTxn:        "kv.go:117-119: a transaction that fails returns before it invalidates, and one whose answer is lost fails",
		Torn:           "kv.go:109 files a range of the middle of a transaction under the transaction's revision; a write behind it inside an inner transaction is not seen",
		PastCompaction: "cache/store.go:122 knows of compactions through this proxy only",
		Frozen:         "cache/store.go:83: a request without a revision has Revision 0, which is never above compactedRev again",
		Identity:       "cache/store.go:46: the key is the request; who asks is no part of it",
	}[c]
}

// Symptom is how a wrong answer is wrong.
type Symptom string

const (
	Ghost    Symptom = "ghost"    // it names what is gone
	Hidden   Symptom = "hidden"   // it lacks what is there
	Negative Symptom = "negative" // it is empty and should not be
	Outdated Symptom = "outdated" // the right keys, old values
	Miscount Symptom = "miscount"
	NoneOf   Symptom = "" // the cause says it all
)

// wrong is one thing found in a settled state.
type wrong struct {
	cause   Cause
	symptom Symptom
}

// same says whether a request has the same answer in two states of the store, the header's revision aside.
func (s *state) same(u *universe, req, a, b uint8) bool {
	r := &u.requests[req]
	mask := u.ranges[r.rng].mask
	x, y := s.at[a].masked(mask), s.at[b].masked(mask)
	switch {
	case x == y:
		return true
	case r.whole:
		return false
	case r.shape.Count:
		return countKeys(x) == countKeys(y)
	}
	// A limit or an order: what is cut off may differ, the count may not. Orders but by key and revision are not told apart here.
	return countKeys(x) == countKeys(y) && r.shape.Limit > 0 && slices.Equal(firstKeys(u, x, r), firstKeys(u, y, r))
}

func countKeys(x row) (n int) {
	for k := range uint8(maxKeys) {
		if x.get(k) != 0 {
			n++
		}
	}
	return n
}

func firstKeys(u *universe, x row, r *request) []put {
	var list []put
	for _, k := range u.order {
		if mod := x.get(k); mod != 0 {
			list = append(list, put{k, mod})
		}
	}
	switch r.shape.Sort {
	case "key:down":
		slices.Reverse(list)
	case "mod:up", "mod:down":
		slices.SortStableFunc(list, func(a, b put) int { return int(a.revision) - int(b.revision) })
		if r.shape.Sort == "mod:down" {
			slices.Reverse(list)
		}
	}
	return list[:min(len(list), r.shape.Limit)]
}

// examine calls found for each wrong entry of each cache. The state must be settled: nothing held, no member cut off, so that
// whatever is wrong will stay so.
func (s *state) examine(u *universe, found func(wrong)) {
	for i := range s.nProxies {
		p := &s.proxies[i]
		for set := p.present; set != 0; set &= set - 1 {
			req := uint8(bits.TrailingZeros64(set))
			e := &p.entry[req]
			r := &u.requests[req]
			if r.revision != 0 {
				if int16(r.revision) < s.compacted && int16(r.revision) >= p.compacted {
					found(wrong{PastCompaction, NoneOf})
				}
				continue
			}
			if s.same(u, req, e.state, s.last) {
				continue
			}
			found(wrong{s.cause(u, int8(i), req, e), s.symptom(u, req, e.state)})
			if p.compacted > 0 {
				found(wrong{Frozen, NoneOf})
			}
			if final := s.atRevision(s.why[e.state].revision); !s.same(u, req, e.state, final) {
				found(wrong{Torn, NoneOf})
			}
		}
	}
}

// cause names the rule that let the entry outlive the first write that made it wrong.
func (s *state) cause(u *universe, proxy int8, req uint8, e *entry) Cause {
	i := e.state + 1
	for s.same(u, req, i-1, i) {
		i++
	}
	w := &s.why[i]
	through := w.via == proxy
	switch {
	case through && e.read == w.clock: // the entry is an answer of that very transaction, from before its write
		if w.by == byNested {
			return NestedTxn
		}
		return s.notFound(u, req, w)
	case e.added > w.clock && e.read > w.clock:
		return LaggingMember
	case e.added > w.clock && e.how == fromTxn:
		return TxnInFlight
	case e.added > w.clock:
		return AnswerInFlight
	case w.by == byRevoke:
		return LeaseRevoked
	case w.by == byExpiry:
		return LeaseExpired
	case w.via < 0:
		return DirectWrite
	case !through:
		return OtherProxy
	case w.cleared != 0 && w.cleared < e.added:
		return BeforeWrite
	case w.lost:
		return LostTxn
	case w.by == byNested:
		return NestedTxn
	}
	return s.notFound(u, req, w)
}

// notFound is why an invalidation for the write w, which the proxy did make, missed the request.
func (s *state) notFound(u *universe, req uint8, w *change) Cause {
	switch {
	case u.ranges[u.requests[req].rng].end == "\x00":
		return FromKeyRead
	case u.ranges[w.rng].end == "\x00" && overlap(&u.cmp[w.rng][u.requests[req].rng]) == 0:
		return FromKeyPruned
	case u.ranges[w.rng].end == "\x00":
		return FromKeyDelete
	}
	return Unexplained
}

func (s *state) symptom(u *universe, req, old uint8) Symptom {
	r := &u.requests[req]
	mask := u.ranges[r.rng].mask
	was, is := s.at[old].masked(mask), s.at[s.last].masked(mask)
	if r.shape.Count {
		return Miscount
	}
	if was == (row{}) {
		return Negative
	}
	hidden := false
	for k := range uint8(maxKeys) {
		switch {
		case was.get(k) != 0 && is.get(k) == 0:
			return Ghost
		case was.get(k) == 0 && is.get(k) != 0:
			hidden = true
		}
	}
	if hidden {
		return Hidden
	}
	return Outdated
}

// Explain takes a plan's steps on a model, lets everything settle, and says why each answer is wrong that a proxy then still
// holds; each cause once, its Plan is p. Nothing is wrong where it returns nothing.
func Explain(p plan.Plan) ([]Finding, error) {
	m := New(p)
	for i, s := range p.Steps {
		if _, err := m.Apply(s); err != nil {
			return nil, fmt.Errorf("step %d, %s: %w", i+1, s, err)
		}
	}
	m.s.settle(&m.u)
	var list []Finding
	note := func(w wrong) {
		if !slices.ContainsFunc(list, func(f Finding) bool { return f.Cause == w.cause && f.Symptom == w.symptom }) {
			list = append(list, Finding{Cause: w.cause, Symptom: w.symptom, Plan: p, Plans: 1})
		}
	}
	if m.leaked {
		note(wrong{Identity, NoneOf})
	}
	m.s.examine(&m.u, note)
	return list, nil
}

// settle lets every held call go on and mends every member and link.
func (s *state) settle(u *universe) {
	for i := range s.held {
		if s.held[i].open {
			s.do(u, &op{kind: opRelease, proxy: -1, slot: uint8(i)})
		}
	}
	for i := range s.members {
		s.members[i].cut = false
	}
	for i := range s.proxies {
		s.proxies[i].unlinked = 0
	}
	s.offline = 0
	s.apply()
	s.nReads = 0
}

// unsettled says whether settle would change anything.
func (s *state) unsettled() bool {
	for i := range s.held {
		if s.held[i].open {
			return true
		}
	}
	for i := range s.members {
		if s.members[i].cut {
			return true
		}
	}
	for i := range s.proxies {
		if s.proxies[i].unlinked != 0 {
			return true
		}
	}
	return false
}
