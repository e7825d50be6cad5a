package model

import "ghostroute/harness/explore/plan"

// do takes one step.
func (s *state) do(u *universe, o *op) result {
	s.nReads = 0
	s.clock++
	if o.vip && (o.nowhere || s.offline&(1<<o.who) != 0) {
		return result{err: unavailable}
	}
	switch o.kind {
	case opRead:
		return s.doRead(u, o)
	case opPut, opDelete:
		return s.doWrite(u, o)
	case opTxn:
		return s.doTxn(u, o)
	}
	return s.doOther(u, o)
}

func (s *state) doRead(u *universe, o *op) result {
	req := o.req
	if o.past {
		var err error
		if req, err = u.request(request{rng: o.rng, shape: o.shape, revision: ago(s.revision(), o.back)}); err != nil {
			return result{err: failure(err.Error())}
		}
	}
	if o.proxy < 0 {
		st, err := s.rangeOn(u, o, o.member, req)
		if err != ok {
			return result{err: err}
		}
		return s.answered(read{req: req, state: st, proxy: -1})
	}
	p := &s.proxies[o.proxy]
	if !o.linear {
		hit, refused := p.get(u, req)
		if refused {
			return result{err: compacted}
		}
		if hit {
			return s.answered(read{req: req, state: p.entry[req].state, hit: true, proxy: o.proxy})
		}
	}
	if o.hold == plan.AtRequest {
		h := s.park(o)
		h.reqs[0], h.n = req, 1
		return result{err: isHeld}
	}
	st, err := s.rangeOn(u, o, p.member, req)
	e := entry{state: st, how: fromRange, read: s.clock}
	if o.hold == plan.AtAnswer && err != unavailable { // what never comes is not held on its way
		h := s.park(o)
		h.reqs[0], h.reads[0], h.n, h.err = req, e, 1, err
		return result{err: isHeld}
	}
	if err != ok {
		return result{err: err}
	}
	e.added = s.now()
	p.add(u, req, e, s.cap)
	return s.answered(read{req: req, state: st, proxy: o.proxy})
}

func (s *state) answered(r read) result {
	s.reads[0], s.nReads = r, 1
	return result{revision: s.why[r.state].revision}
}

func (s *state) park(o *op) *held {
	h := &s.held[o.slot]
	*h = held{open: true, op: *o, who: o.who, now: s.revision()}
	return h
}

// doWrite is Put or DeleteRange: through a proxy the cache forgets first, then etcd is asked (kv.go, Put and DeleteRange).
func (s *state) doWrite(u *universe, o *op) result {
	c := change{via: o.proxy}
	m := o.member
	if o.proxy >= 0 {
		p := &s.proxies[o.proxy]
		p.invalidate(u, o.rng)
		c.cleared = s.clock
		m = p.member
		if o.hold == plan.AtRequest {
			s.park(o).began = c.cleared
			return result{err: isHeld}
		}
	}
	from := s.last
	r := s.commitWrite(u, o, m, c)
	if o.proxy >= 0 && o.hold == plan.AtAnswer && r.err != unavailable {
		h := s.park(o)
		h.err, h.rev, h.from, h.to = r.err, r.revision, from, s.last
		return result{err: isHeld}
	}
	return r
}

func (s *state) commitWrite(u *universe, o *op, m uint8, c change) result {
	if s.members[m].cut || !s.reach(o.proxy, m) {
		return result{err: unavailable}
	}
	if s.mayNot(o.who, m) {
		return result{err: denied}
	}
	s.clock++
	base := s.revision()
	done := true
	if o.kind == opPut {
		if o.lease != 0 && s.leases&(1<<o.lease) == 0 {
			return result{err: noLease}
		}
		c.by = byPut
		done = s.put(u, o, base, c)
	} else {
		c.by = byDelete
		done = s.drop(u, o.rng, u.ranges[o.rng].mask, base, c)
	}
	if !done {
		return result{err: tooLong}
	}
	s.apply()
	return result{revision: s.revision()}
}

const tooLong failure = "the plan is too long for the model"

// doTxn is Txn: etcd is asked first, then the cache forgets what the compares and the top level's writes touch and files the
// top level's ranges. What lies in an inner transaction it does not look at (kv.go, Txn and txnToCache).
func (s *state) doTxn(u *universe, o *op) result {
	m := o.member
	if o.proxy >= 0 {
		m = s.proxies[o.proxy].member
		if o.hold == plan.AtRequest {
			s.park(o)
			return result{err: isHeld}
		}
	}
	var h held
	h.from = s.last
	r := s.commitTxn(u, o, m, s.revision(), &h)
	h.to = s.last
	if o.proxy >= 0 && o.hold == plan.AtAnswer && r.err != unavailable {
		h.open, h.op, h.who, h.err, h.rev = true, *o, o.who, r.err, r.revision
		s.held[o.slot] = h
		return result{err: isHeld}
	}
	return s.finishTxn(u, o, &h, r)
}

// finishTxn is what the proxy does when etcd's answer has come.
func (s *state) finishTxn(u *universe, o *op, h *held, r result) result {
	if r.err != ok {
		return r
	}
	for i := range h.n {
		s.reads[i] = read{req: h.reqs[i], state: h.reads[i].state, proxy: o.proxy}
	}
	s.nReads = h.n
	if o.proxy < 0 {
		return r
	}
	p := &s.proxies[o.proxy]
	now := s.now()
	for _, c := range o.txn.ifs {
		p.invalidate(u, c.rng)
	}
	ops, n := o.txn.els, 0
	if h.took {
		ops = o.txn.then
	}
	for i := range ops {
		switch x := &ops[i]; x.kind {
		case opPut, opDelete:
			p.invalidate(u, x.rng)
		case opRead:
			for h.inner[n] {
				n++
			}
			e := h.reads[n]
			e.added = now
			p.add(u, h.reqs[n], e, s.cap)
			n++
		}
	}
	return r
}
