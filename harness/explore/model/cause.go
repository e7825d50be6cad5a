package model

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"ghostroute/harness/explore/plan"
	"ghostroute/harness/keys"
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
	Unheard        Cause = "a permission taken that the member asked has not heard of"
	Unexplained    Cause = "unexplained" // the model is wrong
)

// Causes are all of them by which a cache is wrong, in a fixed order. WatchCauses are the others.
func Causes() []Cause {
	return []Cause{OtherProxy, DirectWrite, LeaseRevoked, LeaseExpired, BeforeWrite, AnswerInFlight, TxnInFlight,
		LaggingMember, FromKeyRead, FromKeyDelete, FromKeyPruned, NestedTxn, LostTxn, Torn, PastCompaction, Frozen,
		Identity, Unheard}
}

// Breaks is the check that the cause breaks. After PastCompaction it is "": what the proxy tells then was true at the
// revision that was asked for, and etcd itself would refuse to say it.
func (c Cause) Breaks() string {
	if w, ok := watchCauses[c]; ok {
		return w.breaks
	}
	switch c {
	case PastCompaction:
		return ""
	case Identity, Unheard:
		return "identity"
	}
	return "convergence"
}

// Where is the line of etcd v3.7.3 that explains the cause, and what it does; paths are under server/proxy/grpcproxy.
func (c Cause) Where() string {
	if w, ok := watchCauses[c]; ok {
		return w.where
	}
	return map[Cause]string{
		OtherProxy:   "kv.go:91 (and 83, 124): only the proxy that a write passes forgets; nothing tells the others",
		DirectWrite:  "kv.go:83, 91, 124: nothing but the proxy's own calls invalidates; it watches nothing",
		LeaseRevoked: "lease.go:89: LeaseRevoke has no cache at hand, and knows not which keys the lease had",
		LeaseExpired: "kv.go has no clock: cache/store.go:84 adds an answer without an age",
		BeforeWrite: "kv.go:83 and 91 invalidate, kv.go:86 and 94 write after that; " +
			"what is read between is filed and stays",
		AnswerInFlight: "kv.go:72 adds whatever kv.go:62 brought, however much was invalidated meanwhile",
		TxnInFlight:    "kv.go:109 adds a transaction's ranges when its answer comes, whatever was invalidated meanwhile",
		LaggingMember:  "kv.go:62 passes a serializable miss on as serializable; kv.go:72 keeps the lagging member's answer",
		FromKeyRead: `cache/store.go:97 files the end "\x00" as it stands: an interval that ends before it begins, ` +
			"which adt's Compare finds for no key at all",
		FromKeyDelete: `cache/store.go:145 takes the end "\x00" as it stands: an interval that ends before it begins ` +
			"overlaps, to adt's Compare, what holds its first key and nothing else",
		FromKeyPruned: "pkg/adt/interval_tree.go:162: for such an interval the subtree below a node to its left " +
			"is always passed over, whatever is in it",
		NestedTxn: "kv.go:98-111: txnToCache has no case for ResponseOp_ResponseTxn",
		LostTxn: "kv.go:117-119: a transaction that fails returns before it invalidates, " +
			"and one whose answer is lost fails",
		Torn: "kv.go:109 files a range of the middle of a transaction under the transaction's revision; " +
			"a write behind it inside an inner transaction is not seen",
		PastCompaction: "cache/store.go:122 knows of compactions through this proxy only",
		Frozen: "cache/store.go:83: a request without a revision has Revision 0, " +
			"which is never above compactedRev again",
		Identity: "cache/store.go:46: the key is the request; the client that asks is no part of it",
		Unheard: "etcd's own, with a proxy and without: a member that lags answers a serializable read by the permissions " +
			"that it has applied (server/etcdserver/v3_server.go, Range)",
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

// Finding is one way to be wrong, and a plan that shows it.
type Finding struct {
	Cause   Cause
	Symptom Symptom
	Plan    plan.Plan
	Plans   int64 // how many of the plans that were tried show it
}

// wrong is one thing found in a settled state.
type wrong struct {
	cause   Cause
	symptom Symptom
}

// same says whether a request has the same answer in two states of the store, the header's revision aside.
func (m *Model) same(r request, a, b int) bool {
	if a == b {
		return true
	}
	x, n, _ := r.contents(m.states[a])
	y, k, _ := r.contents(m.states[b])
	return n == k && slices.Equal(x, y)
}

// examine calls found for each wrong entry of each cache. The model must have ended, so that whatever is wrong will
// stay so.
func (m *Model) examine(found func(wrong)) {
	last := len(m.states) - 1
	for i, p := range m.proxies {
		for r, e := range p.answers {
			if r.revision != 0 {
				if r.revision < m.compacted && r.revision >= p.compacted {
					found(wrong{PastCompaction, NoneOf})
				}
				continue
			}
			if m.same(r, e.state, last) {
				continue
			}
			found(wrong{m.cause(i, r, e), m.symptom(r, e.state)})
			if p.compacted > 0 {
				found(wrong{Frozen, NoneOf})
			}
			if !m.same(r, e.state, m.atRevision(m.states[e.state].revision)) {
				found(wrong{Torn, NoneOf})
			}
		}
	}
}

// cause names the rule that let the entry outlive the first write that made it wrong.
func (m *Model) cause(proxy int, r request, e entry) Cause {
	i := e.state + 1
	for m.same(r, i-1, i) {
		i++
	}
	w := m.states[i]
	through := w.via == proxy
	switch {
	case through && e.read == w.done: // the entry is an answer of that very transaction, from before its write
		if w.by == byNested {
			return NestedTxn
		}
		return notFound(r, w)
	case e.added > w.done && e.read > w.done:
		return LaggingMember
	case e.added > w.done && e.fromTxn:
		return TxnInFlight
	case e.added > w.done:
		return AnswerInFlight
	case w.by == byRevoke:
		return LeaseRevoked
	case w.by == byExpiry:
		return LeaseExpired
	case w.via == direct:
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
	return notFound(r, w)
}

// notFound is why an invalidation for the write w, which the proxy did make, missed the request.
func notFound(r request, w *state) Cause {
	written, asked := interval(w.key, w.end), interval(r.key, r.end)
	switch {
	case r.end == keys.FromKey:
		return FromKeyRead
	case w.end == keys.FromKey && written.Compare(&asked) == 0:
		return FromKeyPruned
	case w.end == keys.FromKey:
		return FromKeyDelete
	}
	return Unexplained
}

func (m *Model) symptom(r request, old int) Symptom {
	was, is := m.states[old].within(r.key, r.end), m.last().within(r.key, r.end)
	lacks := func(list []plan.KV, x plan.KV) bool {
		return !slices.ContainsFunc(list, func(y plan.KV) bool { return y.Key == x.Key })
	}
	switch {
	case r.shape.Count:
		return Miscount
	case len(was) == 0:
		return Negative
	case slices.ContainsFunc(was, func(x plan.KV) bool { return lacks(is, x) }):
		return Ghost
	case slices.ContainsFunc(is, func(x plan.KV) bool { return lacks(was, x) }):
		return Hidden
	}
	return Outdated
}

// wrongs lets everything end and says why each answer is wrong that a proxy then still holds; each once, in no order.
func (m *Model) wrongs() (list []wrong) {
	m.end()
	note := func(w wrong) {
		if !slices.Contains(list, w) {
			list = append(list, w)
		}
	}
	if m.leaked {
		note(wrong{Identity, NoneOf})
	}
	if m.unheard {
		note(wrong{Unheard, NoneOf})
	}
	m.examine(note)
	return list
}

// Explain takes a plan's steps on a model, lets everything end, and says why each answer is wrong that a proxy then
// still holds; each cause once, its Plan is p. Nothing is wrong where it returns nothing.
func Explain(p plan.Plan) (list []Finding, err error) {
	m := New(p)
	for i, s := range p.Steps {
		if _, err := m.Apply(s); err != nil {
			return nil, fmt.Errorf("step %d, %s: %w", i+1, s, err)
		}
	}
	return m.Wrong(), nil
}

// Wrong lets everything end and says why each answer is wrong that a proxy then still holds, as Explain does. Nothing
// can be taken after it.
func (m *Model) Wrong() (list []Finding) {
	for _, w := range m.wrongs() {
		list = append(list, Finding{Cause: w.cause, Symptom: w.symptom, Plan: m.plan, Plans: 1})
	}
	slices.SortFunc(list, byCause)
	return list
}

// byCause orders findings by cause, the shortest plan first.
func byCause(a, b Finding) int {
	order := Causes()
	return cmp.Or(slices.Index(order, a.Cause)-slices.Index(order, b.Cause), len(a.Plan.Steps)-len(b.Plan.Steps),
		strings.Compare(string(a.Symptom), string(b.Symptom)))
}

// Has says whether a plan shows the cause.
func Has(p plan.Plan, c Cause) bool {
	list, err := Explain(p)
	return err == nil && slices.ContainsFunc(list, func(f Finding) bool { return f.Cause == c })
}
