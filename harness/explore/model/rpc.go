package model

import (
	"maps"

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

// flood pushes every answer out of a cache. After a compaction nothing new is kept, so nothing old falls out.
func (m *Model) flood(s plan.Step) result {
	p := m.proxies[plan.Number(s.Via)]
	x := m.asks(way{proxy: plan.Number(s.Via)})
	switch {
	case m.mayNot(s.Client, m.members[p.member]):
		return result{err: plan.ErrDenied}
	case x == nil:
		return result{err: plan.ErrUnavailable}
	case p.compacted < 0:
		clear(p.answers)
	}
	return result{}
}

// link cuts or mends a member from its peers, or a link. What a black hole swallowed is lost as what a cut refused.
func (m *Model) link(s plan.Step) result {
	cut := s.Verb != plan.Mend
	from, to := plan.Ends(s.Target)
	switch {
	case to == "":
		m.members[plan.Number(from)].cut = cut
		m.applied()
	case from[0] == 'p' && to[0] == 'm':
		p := m.proxies[plan.Number(from)]
		p.unlinked = maps.Clone(p.unlinked)
		if p.unlinked == nil {
			p.unlinked = map[int]bool{}
		}
		p.unlinked[plan.Number(to)] = cut
	case from[0] == 'g':
		m.offline[from] = cut
	}
	return result{}
}

// narrow has a proxy ask another member.
func (m *Model) narrow(s plan.Step) result {
	m.proxies[plan.Number(s.Target)].member = plan.Number(s.Other)
	return result{}
}

// reboot empties a proxy's cache, which lives in memory. Whatever the proxy held for a client is lost. A member keeps
// what it had.
func (m *Model) reboot(s plan.Step) result {
	if s.Target[0] != 'p' {
		return result{}
	}
	i := plan.Number(s.Target)
	m.proxies[i].cache = newCache()
	for name, h := range m.held {
		if h.proxy == i {
			m.fail(plan.Step{Name: name})
		}
	}
	return result{}
}

// permit gives a client the role that may read and write everything, or takes it.
func (m *Model) permit(s plan.Step) result {
	next := maps.Clone(m.forbidden)
	if next == nil {
		next = clients{}
	}
	next[s.Target] = s.Verb == plan.Forbid
	m.forbidden = next
	m.applied()
	return result{}
}
