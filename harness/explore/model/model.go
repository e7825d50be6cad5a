package model

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"ghostroute/harness/explore/plan"
	"ghostroute/harness/history"
)

// Model takes a plan's steps in memory. It is used by one goroutine.
type Model struct {
	// Backend says which proxy a client's VIP leads to now, "" for none. A lab that runs the same plan knows; without
	// one, client number i is led to proxy number i, counted round.
	Backend func(client string) string

	plan  plan.Plan
	step  int
	clock int // counts whatever happens, so that its order is known

	states    []*state // of the store, oldest first; a transaction makes one for each of its writes
	compacted int64    // what etcd has compacted, -1 for nothing
	leases    map[string]bool
	members   []*member
	proxies   []*proxy

	forbidden clients          // without a role
	offline   map[string]bool  // clients that cannot reach the balancer
	held      map[string]*held // by hold
	instances map[string]*instance
	granted   int  // leases that instances took
	leaked    bool // a cached answer went to a client that may not read it
	unheard   bool // a member answered such a client
}

// failure is why a step failed, in a plan's words; "" is success.
type failure string

// result is what a step gave.
type result struct {
	err      failure
	revision int64 // of the header, 0 where there is none
	reads    []read
}

func (r result) failed() failure { return r.err }

func (r result) lose() {}

// read is one Range answered in a step.
type read struct {
	request
	via    string
	source history.Source
	state  int // of the store
}

// New is a model of p's topology before its first step.
func New(p plan.Plan) *Model {
	m := &Model{plan: p, states: []*state{{revision: 1, via: direct}}, compacted: -1, leases: map[string]bool{},
		offline: map[string]bool{}, held: map[string]*held{}, instances: map[string]*instance{}}
	m.Backend = func(client string) string { return fmt.Sprintf("p%d", plan.Number(client)%max(p.Proxies, 1)+1) }
	for range p.Members {
		m.members = append(m.members, &member{compacted: -1})
	}
	for i := range p.Proxies {
		m.proxies = append(m.proxies, &proxy{member: i % p.Members, cache: newCache()})
	}
	return m
}

// Apply takes the plan's next step and says what it gives. The error is a verb that the model does not know.
func (m *Model) Apply(s plan.Step) (plan.Observation, error) {
	if rules[s.Verb] == nil {
		return plan.Observation{}, fmt.Errorf("the model does not know the verb %q", s.Verb)
	}
	r := m.take(s)
	obs := plan.Observation{Err: string(r.err), Revision: r.revision}
	for _, x := range r.reads {
		obs.Answers = append(obs.Answers, m.answer(x))
	}
	return obs, nil
}

// Close ends the model; it holds nothing that must be ended.
func (m *Model) Close() error { return nil }

func (m *Model) take(s plan.Step) result {
	m.step++
	m.clock++
	if s.Hold != plan.NotHeld && m.held[s.Name] != nil {
		return result{err: plan.ErrSenseless}
	}
	return rules[s.Verb](m, s)
}

func (m *Model) tick() int { m.clock++; return m.clock }

// answer is a read as the client sees it. A revision in the shape is the one that was asked for, not how a plan counts
// back to it.
func (m *Model) answer(x read) plan.Answer {
	shape := x.shape.String()
	if x.revision != 0 {
		shape = strings.TrimSpace(fmt.Sprintf("%s @%d", shape, x.revision))
	}
	a := plan.Answer{Via: x.via, Source: x.source, Shape: shape, Keys: plan.BoundsText(x.key, x.end),
		Revision: m.states[x.state].revision}
	a.KVs, a.Count, a.More = x.contents(m.states[m.asked(x.request, x.state)])
	return a
}

// Cached is what a proxy would answer from its cache to the request that had that answer; nil where it would ask.
func (m *Model) Cached(a plan.Answer) *plan.Answer {
	p := m.proxies[plan.Number(a.Via)]
	for r, e := range p.answers {
		if r.revision > 0 && r.revision < p.compacted {
			continue
		}
		if held := m.answer(read{r, a.Via, history.Hit, e.state}); held.Keys == a.Keys && held.Shape == a.Shape {
			return &held
		}
	}
	return nil
}

// asked is the state that an answer read from a state is about: an older one where a revision was asked for.
func (m *Model) asked(r request, state int) int {
	if r.revision != 0 {
		return m.atRevision(r.revision)
	}
	return state
}

// direct is the number of no proxy: a call made on a member.
const direct = -1

// way is where a call goes: through a proxy, or to a member directly.
type way struct {
	client string
	proxy  int // or direct
	member int // of a direct call
}

// way resolves a step's endpoint. It fails where the client's VIP leads nowhere.
func (m *Model) way(s plan.Step) (way, failure) {
	w := way{client: s.Client, proxy: direct}
	via := s.Via
	if via == plan.VIP {
		if via = m.Backend(s.Client); via == "" || m.offline[s.Client] {
			return w, plan.ErrUnavailable
		}
	}
	if via[0] == 'p' {
		w.proxy = plan.Number(via)
	} else {
		w.member = plan.Number(via)
	}
	return w, ""
}

// asks is the member that a call comes to now, nil where the link to it is cut.
func (m *Model) asks(w way) *member {
	if w.proxy == direct {
		return m.members[w.member]
	}
	if p := m.proxies[w.proxy]; !p.unlinked[p.member] {
		return m.members[p.member]
	}
	return nil
}

// held is an RPC that is held between a proxy and its member.
type held struct {
	proxy int
	goOn  func() result
	lose  func()
}

// outcome is what etcd answered to an RPC.
type outcome interface {
	failed() failure
	lose() // the proxy never learns it
}

// rpc makes an RPC through a proxy, held where the step says so: ask is etcd's part, done the proxy's when the answer
// has come.
func rpc[A outcome](m *Model, s plan.Step, w way, ask func() A, done func(A) result) result {
	if s.Hold == plan.AtRequest {
		m.held[s.Name] = &held{w.proxy, func() result { return done(ask()) }, func() {}}
		return result{err: plan.ErrHeld}
	}
	a := ask()
	if s.Hold == plan.NotHeld || a.failed() == plan.ErrUnavailable { // what never comes is not held on its way
		return done(a)
	}
	m.held[s.Name] = &held{w.proxy, func() result { return done(a) }, a.lose}
	return result{err: plan.ErrHeld}
}

// release lets a held RPC go on.
func (m *Model) release(s plan.Step) result {
	h := m.held[s.Name]
	if h == nil {
		return result{}
	}
	delete(m.held, s.Name)
	return h.goOn()
}

// fail loses a held RPC: its client gets an error, whatever etcd did.
func (m *Model) fail(s plan.Step) result {
	h := m.held[s.Name]
	if h == nil {
		return result{}
	}
	delete(m.held, s.Name)
	h.lose()
	return result{err: plan.ErrUnavailable}
}

// end lets every held call go on and mends every member and link, so that whatever is wrong then will stay so.
func (m *Model) end() {
	for _, name := range slices.Sorted(maps.Keys(m.held)) {
		m.take(plan.Step{Verb: plan.Release, Name: name})
	}
	for _, x := range m.members {
		x.cut = false
	}
	for _, p := range m.proxies {
		p.unlinked = nil
	}
	clear(m.offline)
	m.applied()
}
