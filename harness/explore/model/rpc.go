package model

import (
	"ghostroute/harness/explore/plan"
	"ghostroute/harness/history"
)

// ranged is what a member answered to a Range.
type ranged struct {
	entry
	err failure
}

func (a ranged) failed() failure { return a.err }

func (a ranged) lose() {}

// read is Range: a serializable one is served from the cache, every answer that comes from etcd is filed (kv.go,
// Range).
func (m *Model) read(s plan.Step) result {
	w, err := m.way(s)
	if err != "" {
		return result{err: err}
	}
	r := requestOf(s.Keys, s.Shape, m.revision())
	ask := func() ranged {
		state, err := m.rangeOn(w, r, s.Linearizable)
		m.unheard = m.unheard || err == "" && m.plan.Auth && m.forbidden[s.Client]
		return ranged{entry{state: state, read: m.clock}, err}
	}
	if w.proxy == direct {
		return m.answered(s.Via, history.Member, r, ask())
	}
	p := m.proxies[w.proxy]
	via := plan.Name('p', w.proxy)
	if !s.Linearizable {
		e, hit, err := p.get(r)
		if hit || err != "" {
			m.leaked = m.leaked || hit && m.plan.Auth && m.forbidden[s.Client]
			return m.answered(via, history.Hit, r, ranged{e, err})
		}
	}
	return rpc(m, s, w, ask, func(a ranged) result {
		if a.err == "" {
			a.added = m.tick()
			p.add(r, a.entry)
		}
		return m.answered(via, history.Miss, r, a)
	})
}

func (m *Model) answered(via string, source history.Source, r request, a ranged) result {
	if a.err != "" {
		return result{err: a.err}
	}
	return result{revision: m.states[a.state].revision, reads: []read{{r, via, source, a.state}}}
}

// write is Put or DeleteRange: through a proxy the cache forgets first, then etcd is asked (kv.go, Put and
// DeleteRange).
func (m *Model) write(s plan.Step) result {
	w, err := m.way(s)
	if err != "" {
		return result{err: err}
	}
	key, end, _ := plan.Bounds(s.Keys)
	c := state{via: w.proxy}
	if w.proxy != direct {
		m.proxies[w.proxy].invalidate(key, end)
		c.cleared = m.clock
	}
	step := m.step
	return rpc(m, s, w, func() result {
		x := m.asks(w)
		switch {
		case x == nil || x.cut:
			return result{err: plan.ErrUnavailable}
		case m.mayNot(w.client, x):
			return result{err: plan.ErrDenied}
		case s.Lease != "" && !m.leases[s.Lease]:
			return result{err: plan.ErrNoLease}
		}
		m.clock++
		if s.Verb == plan.Put {
			m.put(key, s.Lease, step, m.revision(), c)
		} else {
			m.dropRange(key, end, m.revision(), c)
		}
		m.applied()
		return result{revision: m.revision()}
	}, func(r result) result { return r })
}

// lease is LeaseGrant, LeaseRevoke or one keep-alive. None of them touches the cache (server/proxy/grpcproxy/lease.go
// has none).
func (m *Model) lease(s plan.Step) result {
	w, err := m.way(s)
	if err != "" {
		return result{err: err}
	}
	if x := m.asks(w); x == nil || x.cut {
		return result{err: plan.ErrUnavailable}
	}
	switch {
	case s.Verb == plan.Grant && m.leases[s.Lease]:
		return result{err: plan.ErrLeaseExists}
	case s.Verb == plan.Grant:
		m.leases[s.Lease] = true
	case s.Verb == plan.Revoke:
		return m.endLease(s.Lease, state{by: byRevoke, via: w.proxy})
	case !m.leases[s.Lease]:
		return result{err: plan.ErrNoLease}
	}
	return result{revision: m.revision()}
}

// expire ends a lease, or the one that an instance's key has now.
func (m *Model) expire(s plan.Step) result {
	lease := s.Lease
	if key, _, _ := plan.Bounds(lease); key != lease {
		lease = ""
		for _, x := range m.last().kvs {
			if x.Key == key {
				lease = x.lease
			}
		}
	}
	return m.endLease(lease, state{by: byExpiry, via: direct})
}

// endLease deletes what is attached to a lease, in one revision (lease/lessor.go, Revoke).
func (m *Model) endLease(lease string, c state) result {
	if !m.leases[lease] {
		return result{err: plan.ErrNoLease}
	}
	delete(m.leases, lease)
	m.drop(func(x kv) bool { return x.lease == lease }, m.revision(), c)
	m.applied()
	return result{revision: m.revision()}
}

// compact asks etcd first and then, if it agreed, the cache (kv.go, Compact).
func (m *Model) compact(s plan.Step) result {
	w, err := m.way(s)
	if err != "" {
		return result{err: err}
	}
	if x := m.asks(w); x == nil || x.cut {
		return result{err: plan.ErrUnavailable}
	}
	revision := max(m.revision()-int64(s.Back), 1)
	if revision <= m.compacted {
		return result{err: plan.ErrCompacted}
	}
	m.compacted = revision
	m.applied()
	if w.proxy != direct {
		p := m.proxies[w.proxy]
		p.compacted = max(p.compacted, revision)
	}
	return result{revision: m.revision()}
}
