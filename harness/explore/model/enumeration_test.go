package model

import (
	"slices"
	"time"

	"ghostroute/harness/explore/plan"
)

// Alphabet is the steps that Enumerate makes plans of: each rule of the cache with something to trip over it, on the
// fewest keys, proxies and clients that show it. p1 asks m1, which can be cut off; p2 asks m2, which is not.
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

// Report is what Enumerate found.
type Report struct {
	Length   int   // no plan was longer
	Steps    int   // that plans were made of
	Plans    int64 // that make sense, each of them examined when everything has settled
	Taken    int64 // steps the model took
	Wrong    int64 // plans that leave an entry wrong for ever, or gave an answer to a client that may not read it
	Findings []Finding
	Elapsed  time.Duration
}

// Enumerate tries every plan of at most length steps drawn from p's steps, on p's topology. A step that makes no sense
// where it stands (a release of nothing, a lease that is not there) ends the plan before it.
func Enumerate(p plan.Plan, length int) Report {
	e := enumeration{alphabet: p, best: map[wrong]*Finding{}, Report: Report{Length: length, Steps: len(p.Steps)}}
	began := time.Now()
	e.longer(p.With(nil).Begin(), nil)
	for _, f := range e.best {
		e.Findings = append(e.Findings, *f)
	}
	slices.SortFunc(e.Findings, byCause)
	e.Elapsed = time.Since(began)
	return e.Report
}

type enumeration struct {
	Report
	alphabet plan.Plan
	best     map[wrong]*Finding
}

// longer tries every plan that begins with these steps and is longer.
func (e *enumeration) longer(x *plan.Preconditions, steps []plan.Step) {
	for _, s := range e.alphabet.Steps {
		x := x.Clone()
		if !x.Take(s) {
			continue
		}
		p := e.alphabet.With(append(steps, s))
		e.try(p)
		if len(p.Steps) < e.Length {
			e.longer(x, p.Steps)
		}
	}
}

func (e *enumeration) try(p plan.Plan) {
	m := New(p)
	for _, s := range p.Steps {
		m.take(s)
	}
	e.Plans, e.Taken = e.Plans+1, e.Taken+int64(len(p.Steps))
	list := m.wrongs()
	if len(list) > 0 {
		e.Wrong++
	}
	for _, w := range list {
		f := e.best[w]
		if f == nil {
			f = &Finding{Cause: w.cause, Symptom: w.symptom}
			e.best[w] = f
		}
		f.Plans++
		if f.Plans == 1 || len(p.Steps) < len(f.Plan.Steps) {
			f.Plan = p.With(slices.Clone(p.Steps))
		}
	}
}
