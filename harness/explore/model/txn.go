package model

import (
	"ghostroute/harness/explore/plan"
	"ghostroute/harness/explore/wire"
	"ghostroute/harness/history"
)

// running is a transaction that etcd executes, and then what came of it.
type running struct {
	result
	step     plan.Step
	number   int // of the step
	via      int
	view     int   // the store before it: the compares look at that, also those of inner transactions
	base     int64 // the revision of view
	now      int64 // the newest revision when the request was made, from which a plan counts back
	readonly bool
	took     bool     // the compares held
	ranges   []filed  // what its ranges answered
	made     []*state // of the store
}

// filed is the answer of a range in a transaction.
type filed struct {
	request
	entry
	inner bool // it belongs to a transaction inside the transaction
}

// txn is Txn: etcd is asked first, then the cache forgets what the compares and the top level's writes touch and files
// the top level's ranges. What lies in an inner transaction it does not look at (kv.go, Txn and txnToCache).
func (m *Model) txn(s plan.Step) result {
	w, err := m.way(s)
	if err != "" {
		return result{err: err}
	}
	number, now := m.step, m.revision()
	ask := func() *running {
		before := len(m.states)
		r := &running{step: s, number: number, via: w.proxy, now: now}
		r.result = m.commitTxn(r, w)
		r.made = m.states[before:]
		return r
	}
	return rpc(m, s, w, ask, m.txnDone)
}

func (r *running) lose() {
	for _, x := range r.made {
		x.lost = true
	}
}

// txnDone is what the proxy does when etcd's answer has come.
func (m *Model) txnDone(r *running) result {
	if r.err != "" {
		return result{err: r.err}
	}
	via, source := r.step.Via, history.Member
	if r.via != direct {
		via, source = plan.Name('p', r.via), history.Miss
		m.toCache(r, m.proxies[r.via])
	}
	for _, x := range r.ranges {
		r.reads = append(r.reads, read{x.request, via, source, x.state})
	}
	return r.result
}

func (m *Model) toCache(r *running, p *proxy) {
	now := m.tick()
	for _, c := range r.step.Txn.If {
		key, end, _ := plan.Bounds(c.Keys)
		p.invalidate(key, end)
	}
	ops := r.step.Txn.Else
	if r.took {
		ops = r.step.Txn.Then
	}
	n := 0
	for _, o := range ops {
		switch o.Verb {
		case plan.Put, plan.Delete:
			key, end, _ := plan.Bounds(o.Keys)
			p.invalidate(key, end)
		case plan.Read:
			for r.ranges[n].inner {
				n++
			}
			e := r.ranges[n].entry
			e.added = now
			p.add(r.ranges[n].request, e)
			n++
		}
	}
}

// commitTxn is etcd's part of a transaction (server/etcdserver/txn/txn.go).
func (m *Model) commitTxn(r *running, w way) result {
	b := r.step.Txn
	readonly, local := b.ReadOnly()
	x := m.asks(w)
	switch {
	case x == nil:
		return result{err: plan.ErrUnavailable}
	case wire.WritesTwice(b):
		return result{err: plan.ErrDuplicate}
	case !local && x.cut:
		return result{err: plan.ErrUnavailable}
	case m.mayNot(w.client, x):
		return result{err: plan.ErrDenied}
	}
	r.view, r.readonly = len(m.states)-1, readonly
	if local {
		r.view = x.applied
	}
	r.base = m.states[r.view].revision
	if err := m.checkTxn(r, b, x); err != "" {
		return result{err: err}
	}
	m.unheard = m.unheard || local && m.plan.Auth && m.forbidden[w.client]
	m.clock++
	r.took = m.holds(b, r.view)
	m.runTxn(r, b, false)
	if readonly {
		return result{revision: r.base}
	}
	m.applied()
	return result{revision: m.revision()}
}

// holds evaluates compares (compareToPath).
func (m *Model) holds(b *plan.Branches, view int) bool {
	for _, c := range b.If {
		key, end, _ := plan.Bounds(c.Keys)
		if found := len(m.states[view].within(key, end)) > 0; found == c.Absent {
			return false
		}
	}
	return true
}

func (m *Model) branch(b *plan.Branches, view int) []plan.Op {
	if m.holds(b, view) {
		return b.Then
	}
	return b.Else
}

// checkTxn is checkTxn there: on the branches that will be taken, leases must be alive and revisions readable.
func (m *Model) checkTxn(r *running, b *plan.Branches, x *member) failure {
	for _, o := range m.branch(b, r.view) {
		switch o.Verb {
		case plan.Put:
			if o.Lease != "" && !m.leases[o.Lease] {
				return plan.ErrNoLease
			}
		case plan.Read:
			switch revision := requestOf(o.Keys, o.Shape, r.now).revision; {
			case revision > r.base:
				return plan.ErrFuture
			case revision != 0 && revision < x.compacted:
				return plan.ErrCompacted
			}
		case plan.Txn:
			if err := m.checkTxn(r, o.Txn, x); err != "" {
				return err
			}
		}
	}
	return ""
}

// runTxn is executeTxn: a range sees what the operations before it wrote, and says the transaction's revision.
func (m *Model) runTxn(r *running, b *plan.Branches, inner bool) {
	c := state{via: r.via}
	if inner {
		c.by = byNested
	}
	for _, o := range m.branch(b, r.view) {
		key, end, _ := plan.Bounds(o.Keys)
		switch o.Verb {
		case plan.Put:
			m.put(key, o.Lease, r.number, r.base, c)
		case plan.Delete:
			m.dropRange(key, end, r.base, c)
		case plan.Read:
			at := len(m.states) - 1
			if r.readonly {
				at = r.view
			}
			e := entry{state: at, fromTxn: true, read: m.clock}
			r.ranges = append(r.ranges, filed{requestOf(o.Keys, o.Shape, r.now), e, inner})
		case plan.Txn:
			m.runTxn(r, o.Txn, true)
		}
	}
}
