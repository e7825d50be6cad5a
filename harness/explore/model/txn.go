package model

// commitTxn is etcd's part of a transaction (server/etcdserver/txn/txn.go). What its ranges answered goes to h.
func (s *state) commitTxn(u *universe, o *op, m, now uint8, h *held) result {
	t := o.txn
	mem := &s.members[m]
	switch {
	case !s.reach(o.proxy, m):
		return result{err: unavailable}
	case o.invalid:
		return result{err: duplicate}
	case !t.local && mem.cut:
		return result{err: unavailable}
	case s.mayNot(o.who, m):
		return result{err: denied}
	}
	run := running{u: u, h: h, via: o.proxy, view: s.last, now: now, readonly: t.readonly}
	if t.local {
		run.view = mem.applied
	}
	run.base = s.why[run.view].revision
	if err := s.checkTxn(&run, t, mem); err != ok {
		return result{err: err}
	}
	s.clock++
	h.took = s.holds(u, t.ifs, run.view)
	if !s.runTxn(&run, t, false) {
		return result{err: tooLong}
	}
	if t.readonly {
		return result{revision: run.base}
	}
	s.apply()
	return result{revision: s.revision()}
}

// running is a transaction that etcd executes.
type running struct {
	u        *universe
	h        *held
	via      int8
	view     uint8 // the store before it: the compares look at that, also those of inner transactions
	base     uint8 // the revision of view
	now      uint8 // the newest revision when the request was made, from which a plan counts back
	readonly bool
}

// revision is the revision that a read in a plan means.
func (r *running) revision(o *op) uint8 { return ago(r.now, o.back) }

func ago(now, back uint8) uint8 {
	if back < now {
		return now - back
	}
	return 1
}

// holds evaluates compares (compareToPath).
func (s *state) holds(u *universe, ifs []compare, view uint8) bool {
	for _, c := range ifs {
		found := s.at[view].masked(u.ranges[c.rng].mask) != row{}
		if found == c.absent {
			return false
		}
	}
	return true
}

func (s *state) branch(u *universe, t *txn, view uint8) []op {
	if s.holds(u, t.ifs, view) {
		return t.then
	}
	return t.els
}

// checkTxn is checkTxn there: on the branches that will be taken, leases must be alive and revisions readable.
func (s *state) checkTxn(r *running, t *txn, m *member) failure {
	ops := s.branch(r.u, t, r.view)
	for i := range ops {
		switch o := &ops[i]; o.kind {
		case opPut:
			if o.lease != 0 && s.leases&(1<<o.lease) == 0 {
				return noLease
			}
		case opRead:
			switch rev := r.revision(o); {
			case !o.past:
			case rev > r.base:
				return future
			case int16(rev) < m.compacted:
				return compacted
			}
		case opTxn:
			if err := s.checkTxn(r, o.txn, m); err != ok {
				return err
			}
		}
	}
	return ok
}

// runTxn is executeTxn: a range sees what the operations before it wrote, and says the transaction's revision.
func (s *state) runTxn(r *running, t *txn, inner bool) bool {
	ops := s.branch(r.u, t, r.view)
	for i := range ops {
		c := change{via: r.via, by: byNested}
		done := true
		switch o := &ops[i]; o.kind {
		case opPut:
			if !inner {
				c.by = byTxnPut
			}
			done = s.put(r.u, o, r.base, c)
		case opDelete:
			if !inner {
				c.by = byTxnDelete
			}
			done = s.drop(r.u, o.rng, r.u.ranges[o.rng].mask, r.base, c)
		case opRead:
			done = s.readInTxn(r, o, inner)
		case opTxn:
			done = s.runTxn(r, o.txn, true)
		}
		if !done {
			return false
		}
	}
	return true
}

func (s *state) readInTxn(r *running, o *op, inner bool) bool {
	h := r.h
	if h.n == maxTxnOps {
		return false
	}
	req := o.req
	if o.past {
		var err error
		if req, err = r.u.request(request{rng: o.rng, shape: o.shape, revision: r.revision(o)}); err != nil {
			return false
		}
	}
	at := s.last
	if r.readonly {
		at = r.view
	}
	h.reqs[h.n], h.reads[h.n], h.inner[h.n] = req, entry{state: at, how: fromTxn, read: s.clock}, inner
	h.n++
	return true
}
