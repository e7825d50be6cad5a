package model

// atRevision is the state of the store at a revision.
func (s *state) atRevision(revision uint8) uint8 {
	i := s.last
	for s.why[i].revision > revision {
		i--
	}
	return i
}

// reach says whether a call gets through to its member: always directly, through a proxy if the link between them holds.
func (s *state) reach(proxy int8, m uint8) bool {
	return proxy < 0 || s.proxies[proxy].unlinked&(1<<m) == 0
}

// rangeOn is a Range on a member: which state of the store answers it (etcdserver/v3_server.go, storage/mvcc/kvstore_txn.go).
func (s *state) rangeOn(u *universe, o *op, m, req uint8) (uint8, failure) {
	mem := &s.members[m]
	if o.linear && mem.cut || !s.reach(o.proxy, m) {
		return 0, unavailable
	}
	if s.mayNot(o.who, m) {
		return 0, denied
	}
	r := u.requests[req].revision
	switch {
	case r == 0:
		return mem.applied, ok
	case r > s.why[mem.applied].revision:
		return 0, future
	case int16(r) < mem.compacted:
		return 0, compacted
	}
	return mem.applied, ok
}

// mayNot asks member m whether the client has no role; what it answers lags with it.
func (s *state) mayNot(who, m uint8) bool { return s.auth && s.members[m].forbidden&(1<<who) != 0 }

// push makes a new state of the store inside the write that began at revision base.
func (s *state) push(next row, base uint8, c change) bool {
	if int(s.last)+1 >= maxStates || base >= 254 {
		return false
	}
	if s.why[s.last].revision == base+1 {
		s.why[s.last].final = false
	}
	s.last++
	s.at[s.last] = next
	c.revision, c.final, c.clock = base+1, true, s.clock
	s.why[s.last] = c
	return true
}

// apply tells the members: those that are not cut have applied it when the write is acknowledged.
func (s *state) apply() {
	for i := range s.members[:s.nMembers] {
		if m := &s.members[i]; !m.cut {
			m.applied, m.compacted, m.forbidden = s.last, s.compacted, s.forbidden
		}
	}
}

func (s *state) put(u *universe, o *op, base uint8, c change) bool {
	k := u.ranges[o.rng].first
	next := s.at[s.last]
	next.set(k, base+1)
	s.leaseOf[k] = o.lease
	c.rng, c.value, c.lease = o.rng, o.value, o.lease
	return s.push(next, base, c)
}

// drop deletes keys; where there are none, nothing happens and no revision is made.
func (s *state) drop(u *universe, rng uint8, mask row, base uint8, c change) bool {
	old := s.at[s.last]
	gone := old.masked(mask)
	if gone == (row{}) {
		return true
	}
	next := row{old[0] &^ mask[0], old[1] &^ mask[1]}
	for k := range u.keys {
		if gone.get(uint8(k)) != 0 {
			s.leaseOf[k] = 0
		}
	}
	c.rng = rng
	return s.push(next, base, c)
}

// endLease deletes what is attached to a lease, in one revision (lease/lessor.go, Revoke).
func (s *state) endLease(u *universe, lease uint8, c change) bool {
	s.leases &^= 1 << lease
	var mask row
	for k := range u.keys {
		if s.leaseOf[k] == lease && s.at[s.last].get(uint8(k)) != 0 {
			mask.set(uint8(k), 0xff)
		}
	}
	done := s.drop(u, noRange, mask, s.revision(), c)
	s.apply()
	return done
}

const noRange = 0xff
