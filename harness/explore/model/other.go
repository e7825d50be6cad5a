package model

import "ghostroute/harness/explore/plan"

// doOther takes the steps that are no call of the KV service.
func (s *state) doOther(u *universe, o *op) result {
	switch o.kind {
	case opGrant, opRevoke, opKeepalive, opExpire:
		return s.doLease(u, o)
	case opCompact:
		return s.doCompact(o)
	case opRelease, opFail:
		return s.doRelease(u, o)
	case opFlood:
		p := &s.proxies[o.proxy]
		if s.mayNot(o.who, p.member) {
			return result{err: denied}
		}
		if !s.reach(o.proxy, p.member) {
			return result{err: unavailable}
		}
		if p.compacted < 0 { // after a compaction nothing new is kept, so nothing old falls out
			p.present = 0
		}
	case opCut:
		s.members[o.member].cut = true
	case opMend:
		s.members[o.member].cut = false
		s.apply()
	case opCutLink:
		s.proxies[o.proxy].unlinked |= 1 << o.member
	case opMendLink:
		s.proxies[o.proxy].unlinked &^= 1 << o.member
	case opCutClient:
		s.offline |= 1 << o.who
	case opMendClient:
		s.offline &^= 1 << o.who
	case opReboot:
		s.restartProxy(o.proxy)
	case opPin:
		s.proxies[o.proxy].member = o.member
	case opPermit:
		s.forbidden &^= 1 << o.who
		s.apply()
	case opForbid:
		s.forbidden |= 1 << o.who
		s.apply()
	}
	return result{}
}

// restartProxy empties a cache: it lives in memory. Whatever the proxy held for a client is lost.
func (s *state) restartProxy(proxy int8) {
	p := &s.proxies[proxy]
	p.present, p.compacted, p.index, p.clock = 0, -1, index{}, 0
	for i := range s.held {
		if h := &s.held[i]; h.open && h.op.proxy == proxy {
			s.lose(h)
		}
	}
}

// doLease: no lease call touches the cache (server/proxy/grpcproxy/lease.go has no cache to touch).
func (s *state) doLease(u *universe, o *op) result {
	m := o.member
	if o.proxy >= 0 {
		m = s.proxies[o.proxy].member
	}
	bit := uint64(1) << o.lease
	if o.kind != opExpire && (s.members[m].cut || !s.reach(o.proxy, m)) {
		return result{err: unavailable}
	}
	switch o.kind {
	case opGrant:
		if s.leases&bit != 0 {
			return result{err: leaseExists}
		}
		s.leases |= bit
		for k := range u.keys {
			if s.leaseOf[k] == o.lease {
				s.leaseOf[k] = 0
			}
		}
	case opRevoke, opExpire:
		if s.leases&bit == 0 {
			return result{err: noLease}
		}
		c := change{by: byRevoke, via: o.proxy}
		if o.kind == opExpire {
			c = change{by: byExpiry, via: -1}
		}
		if !s.endLease(u, o.lease, c) {
			return result{err: tooLong}
		}
	case opKeepalive:
		if s.leases&bit == 0 {
			return result{err: noLease}
		}
	}
	return result{revision: s.revision()}
}

// doCompact: etcd first, then, if it agreed, the cache (kv.go, Compact).
func (s *state) doCompact(o *op) result {
	m := o.member
	if o.proxy >= 0 {
		m = s.proxies[o.proxy].member
	}
	if s.members[m].cut || !s.reach(o.proxy, m) {
		return result{err: unavailable}
	}
	rev := int16(ago(s.revision(), o.back))
	if rev <= s.compacted {
		return result{err: compacted}
	}
	s.compacted = rev
	s.apply()
	if o.proxy >= 0 {
		s.proxies[o.proxy].compact(rev)
	}
	return result{revision: s.revision()}
}

// doRelease lets a held RPC go on, or loses it.
func (s *state) doRelease(u *universe, o *op) result {
	h := &s.held[o.slot]
	if !h.open {
		return result{}
	}
	was := *h
	if o.kind == opFail {
		s.lose(h)
		return result{err: unavailable}
	}
	h.open = false
	return s.resume(u, &was)
}

// lose ends a held RPC: its client gets an error, whatever etcd did.
func (s *state) lose(h *held) {
	h.open = false
	if h.op.hold == plan.AtAnswer && h.op.kind == opTxn {
		for i := int(h.from) + 1; i <= int(h.to); i++ {
			s.why[i].lost = true
		}
	}
}

func (s *state) resume(u *universe, h *held) result {
	o := &h.op
	p := &s.proxies[o.proxy]
	answer := o.hold == plan.AtAnswer
	switch o.kind {
	case opRead:
		if !answer {
			st, err := s.rangeOn(u, o, p.member, h.reqs[0])
			h.err, h.reads[0] = err, entry{state: st, how: fromRange, read: s.clock}
		}
		if h.err != ok {
			return result{err: h.err}
		}
		e := h.reads[0]
		e.added = s.now()
		p.add(u, h.reqs[0], e, s.cap)
		return s.answered(read{req: h.reqs[0], state: e.state, proxy: o.proxy})
	case opTxn:
		r := result{err: h.err, revision: h.rev}
		if !answer {
			h.from = s.last
			r = s.commitTxn(u, o, p.member, h.now, h)
		}
		return s.finishTxn(u, o, h, r)
	}
	if answer {
		return result{err: h.err, revision: h.rev}
	}
	return s.commitWrite(u, o, p.member, change{via: o.proxy, cleared: h.began})
}
