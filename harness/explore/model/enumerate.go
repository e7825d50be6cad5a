package model

import (
	"fmt"
	"slices"
	"time"

	"ghostroute/harness/explore/plan"
)

// Alphabet is the steps that Enumerate makes plans of: each rule of the cache with something to trip over it, on the fewest
// keys, proxies and clients that show it. p1 asks m1, which can be cut off; p2 asks m2, which is not.
func Alphabet() plan.Plan {
	p, err := plan.Parse(alphabet)
	if err != nil {
		panic(err) // a constant of ours
	}
	return p
}

const alphabet = `plan members=3 proxies=2 clients=2 auth
read g1 p1 k1
read g1 p1 k2
read g1 p1 k*
read g1 p1 k1..
read g1 p1 k1 linearizable
read g1 p1 k1 rev=now
read g1 p1 k1 hold=answer:h1
read g1 p1 k1 linearizable hold=answer:h1
read g1 p2 k1
put g1 p1 k1
put g1 p1 k2
put g1 p2 k1
put g1 m2 k1
put g1 p1 k1 hold=request:h1
delete g1 p1 k1
delete g1 p1 k*
delete g1 p1 k1..
delete g1 p1 k2..
delete g1 p1 ..
delete g1 p2 k1
delete g1 m2 k1
delete g1 p1 k1 hold=request:h1
txn g1 p1 then put k1
txn g1 p1 then ( then put k1 )
txn g1 p1 then read k1 ; ( then put k1 )
txn g1 p1 then put k1 ; read k* ; ( then put k2 )
txn g1 p1 if k1 absent then put k1 else delete k1
txn g1 p1 hold=answer:h1 then put k1
txn g1 p1 hold=answer:h1 then read k1
release h1
fail h1
grant m2 l1
put g1 p1 k1 lease=l1
revoke p1 l1
expire l1
compact p1
compact m2
cut m1
mend m1
reboot p1
forbid g1
`

// Finding is one way to be wrong, with the shortest plan that shows it.
type Finding struct {
	Cause   Cause
	Symptom Symptom
	Plan    plan.Plan
	Plans   int64 // how many of the plans show it
}

// Report is what Enumerate found.
type Report struct {
	Length   int   // no plan was longer
	Steps    int   // that plans were made of
	Plans    int64 // that make sense, each of them examined when everything has settled
	Taken    int64 // steps the model took
	Wrong    int64 // plans that leave an entry wrong for ever, or gave an answer to somebody who may not read it
	Findings []Finding
	Elapsed  time.Duration
}

// Enumerate tries every plan of at most length steps drawn from p's steps, on p's topology. A step that makes no sense where
// it stands (a release of nothing, a lease that is not there) ends the plan before it.
func Enumerate(p plan.Plan, length int) (Report, error) {
	m := New(p)
	e := enumeration{u: &m.u, steps: p.Steps, best: map[wrong]*Finding{}, stack: make([]state, length+2)}
	for i := range p.Steps {
		o, err := e.u.compile(&p.Steps[i], m.Door, i+1)
		if err != nil {
			return Report{}, fmt.Errorf("%s: %w", p.Steps[i], err)
		}
		e.ops = append(e.ops, o)
	}
	began := time.Now()
	e.stack[0].init(p, fullCache)
	e.path = make([]int, 0, length)
	e.deeper(0, length)
	r := Report{Length: length, Steps: len(e.ops), Plans: e.plans, Taken: e.taken, Wrong: e.wrong, Elapsed: time.Since(began)}
	for _, f := range e.best {
		f.Plan = p.With(nil)
		r.Findings = append(r.Findings, *f)
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		for _, n := range e.paths[wrong{f.Cause, f.Symptom}] {
			f.Plan.Steps = append(f.Plan.Steps, p.Steps[n])
		}
	}
	order := Causes()
	slices.SortFunc(r.Findings, func(a, b Finding) int {
		if d := slices.Index(order, a.Cause) - slices.Index(order, b.Cause); d != 0 {
			return d
		}
		return len(a.Plan.Steps) - len(b.Plan.Steps)
	})
	return r, nil
}

type enumeration struct {
	u     *universe
	steps []plan.Step
	ops   []op
	stack []state // one for each depth, and one to settle in
	path  []int
	plans int64
	taken int64
	wrong int64
	best  map[wrong]*Finding
	paths map[wrong][]int
}

func (e *enumeration) deeper(depth, length int) {
	before, after := &e.stack[depth], &e.stack[depth+1]
	for i := range e.ops {
		o := &e.ops[i]
		if !before.sensible(o) {
			continue
		}
		after.copyFrom(before)
		after.do(e.u, o)
		e.taken++
		e.plans++
		e.path = append(e.path, i)
		e.judge(after, o)
		if depth+1 < length {
			e.deeper(depth+1, length)
		}
		e.path = e.path[:len(e.path)-1]
	}
}

func (e *enumeration) judge(s *state, o *op) {
	any := false
	note := func(w wrong) {
		any = true
		f := e.best[w]
		if f == nil {
			f = &Finding{Cause: w.cause, Symptom: w.symptom}
			e.best[w] = f
			if e.paths == nil {
				e.paths = map[wrong][]int{}
			}
		}
		f.Plans++
		if old, ok := e.paths[w]; !ok || len(e.path) < len(old) {
			e.paths[w] = slices.Clone(e.path)
		}
	}
	if o.kind == opRead && s.nReads == 1 && s.reads[0].hit && s.forbidden&(1<<o.who) != 0 {
		note(wrong{Identity, NoneOf})
	}
	if s.unsettled() {
		end := &e.stack[len(e.stack)-1]
		end.copyFrom(s)
		end.settle(e.u)
		s = end
	}
	s.examine(e.u, note)
	if any {
		e.wrong++
	}
}

// sensible is plan's rule of the same name, for what an alphabet can hold.
func (s *state) sensible(o *op) bool {
	if o.hold != plan.NotHeld && s.held[o.slot].open {
		return false
	}
	bit := uint64(1) << o.lease
	switch o.kind {
	case opRelease, opFail:
		return s.held[o.slot].open
	case opGrant:
		return s.leases&bit == 0
	case opRevoke, opExpire, opKeepalive:
		return s.leases&bit != 0
	case opPut:
		return o.lease == 0 || s.leases&bit != 0
	case opCut:
		return !s.members[o.member].cut
	case opMend:
		return s.members[o.member].cut
	case opPermit:
		return s.forbidden&(1<<o.who) != 0
	case opForbid:
		return s.forbidden&(1<<o.who) == 0
	}
	return true
}
