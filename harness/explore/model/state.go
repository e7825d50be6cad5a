package model

import "ghostroute/harness/explore/plan"

// state is everything at one moment: etcd, its members, the proxies and the RPCs on their way.
type state struct {
	body
	proxies [plan.MaxProxies]proxy
	held    [maxHolds]held
	at      [maxStates]row    // the states of the store, oldest first; a transaction makes one for each of its writes
	why     [maxStates]change // and what made each
}

// body is the part of a state that is always copied whole.
type body struct {
	cap       int    // answers a cache holds
	clock     uint16 // counts whatever happens, so that its order is known
	last      uint8  // the newest state of the store
	compacted int16  // what etcd has compacted, -1 for nothing
	leases    uint64 // which are alive, by number from 1
	leaseOf   [maxKeys]uint8
	auth      bool
	forbidden uint16 // which clients have no role, by number
	offline   uint16 // which clients cannot reach the balancer
	members   [plan.MaxMembers]member
	nProxies  int
	nMembers  int
	reads     [maxTxnOps]read // what the last step's reads gave
	nReads    int
}

// member is how far a member has applied what the cluster agreed on.
type member struct {
	applied   uint8 // state of the store
	compacted int16
	forbidden uint16 // which clients have no role
	cut       bool   // from its peers: it applies nothing and can neither write nor read linearizably
}

// change is what made a state of the store.
type change struct {
	revision uint8 // the header's revision of an answer read from it
	by       writer
	via      int8   // the proxy it went through, -1 for none
	rng      uint8  // what was written
	value    uint16 // the number of the step that wrote it
	lease    uint8
	final    bool   // the last state of its revision; the others are inside a transaction
	lost     bool   // the proxy never learnt that it was done
	clock    uint16 // when etcd did it
	cleared  uint16 // when the proxy invalidated for it, 0 if it did not before
}

type writer uint8

const (
	nobody writer = iota
	byPut
	byDelete
	byTxnPut
	byTxnDelete
	byNested // inside a transaction inside a transaction
	byRevoke
	byExpiry
)

// read is one Range answered in a step.
type read struct {
	req   uint8
	state uint8
	hit   bool
	proxy int8
}

// held is an RPC that is held, with what it needs to go on.
type held struct {
	open  bool
	op    op
	who   uint8
	reads [maxTxnOps]entry // held on the way back: what etcd answered
	reqs  [maxTxnOps]uint8
	inner [maxTxnOps]bool // the answer belongs to a transaction inside the transaction
	n     int
	took  bool  // a transaction's compares held
	from  uint8 // the states it made, to mark them lost
	to    uint8
	err   failure
	began uint16 // when the proxy invalidated for it
	now   uint8  // the newest revision when the request was made
	rev   uint8
}

type kind uint8

const (
	opRead kind = iota
	opPut
	opDelete
	opTxn
	opGrant
	opRevoke
	opExpire
	opKeepalive
	opCompact
	opRelease
	opFail
	opFlood
	opCut
	opMend
	opCutLink
	opMendLink
	opCutClient
	opMendClient
	opReboot // of a proxy
	opPin
	opPermit
	opForbid
	opNothing // what has no bearing on the cache
)

// op is a step with its names resolved.
type op struct {
	kind    kind
	proxy   int8 // -1 where it goes to a member directly
	member  uint8
	who     uint8
	req     uint8
	rng     uint8
	lease   uint8 // from 1; 0 for none
	linear  bool
	hold    plan.Point
	slot    uint8
	txn     *txn
	back    uint8
	past    bool // a read at a revision: rng, shape and back say which
	shape   plan.Shape
	invalid bool // etcd's API refuses it: the same key twice
	vip     bool // it comes through the balancer
	nowhere bool // which has nobody to give it to
	value   uint16
}

type txn struct {
	ifs       []compare
	then, els []op
	readonly  bool // the API server's rule: nothing but ranges in either branch (etcdserver/txn/txn.go, IsTxnReadonly)
	local     bool // all of them serializable too: no quorum is asked (IsTxnSerializable)
}

type compare struct {
	rng    uint8
	absent bool
}

// failure is why a step failed, in words that every Machine uses.
type failure string

const (
	ok          failure = ""
	isHeld      failure = plan.ErrHeld
	compacted   failure = plan.ErrCompacted
	future      failure = plan.ErrFuture
	denied      failure = plan.ErrDenied
	unavailable failure = plan.ErrUnavailable
	noLease     failure = plan.ErrNoLease
	leaseExists failure = plan.ErrLeaseExists
	duplicate   failure = plan.ErrDuplicate
	senseless   failure = plan.ErrSenseless
)

func (s *state) init(p plan.Plan, most int) {
	s.body = body{cap: most, compacted: -1, auth: p.Auth, nProxies: p.Proxies, nMembers: p.Members}
	s.at[0], s.why[0] = row{}, change{revision: 1, via: -1, final: true}
	s.held = [maxHolds]held{}
	for i := range s.members {
		s.members[i].compacted = -1
	}
	for i := range s.proxies {
		s.proxies[i] = proxy{member: uint8(i % p.Members), compacted: -1}
	}
}

// copyFrom makes s the same as o.
func (s *state) copyFrom(o *state) {
	s.body = o.body
	copy(s.proxies[:o.nProxies], o.proxies[:o.nProxies])
	for i := range s.held {
		if s.held[i].open || o.held[i].open {
			s.held[i] = o.held[i]
		}
	}
	copy(s.at[:o.last+1], o.at[:o.last+1])
	copy(s.why[:o.last+1], o.why[:o.last+1])
}

func (s *state) now() uint16 { s.clock++; return s.clock }

func (s *state) revision() uint8 { return s.why[s.last].revision }

// result is what a step gave; its reads are in state.reads.
type result struct {
	err      failure
	revision uint8 // of the header, 0 where there is none
}
