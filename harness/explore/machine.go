// Package explore lets the machine find the next incident: random plans on a machine, each judged, each failure made
// small, each small plan one line that can be run again.
//
// What a plan is says package plan; what should come of it package model; what is promised package check. A machine may
// be the model itself, etcd's own code without its network (in the model's tests), or real parts (package lab).
package explore

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"ghostroute/harness/explore/plan"
	"ghostroute/harness/history"
)

// Machine takes a plan's steps one after another. A step has been taken when Apply returns: what it caused has settled,
// but for RPCs that the plan holds. It is used by one goroutine.
type Machine interface {
	// Apply takes the next step. An error means that the machine broke, not that etcd refused: see
	// plan.Observation.Err.
	Apply(plan.Step) (plan.Observation, error)
	// Close loses what is still held and ends what the machine began.
	Close() error
}

// Disagreement is the error of a machine that did not do what the oracle said: one of the two is wrong, and nothing
// that follows counts.
type Disagreement struct {
	Number int // of the step, from 1; those that make peace behind the plan's own are counted on
	Step   plan.Step
	Why    string        // what the oracle says, and what it should have said
	Since  *Disagreement // the step behind which a cache first held something else; nil where none was seen to
}

func (d *Disagreement) Error() string {
	if s := d.Since; s != nil {
		return fmt.Sprintf("the model does not understand step %d, %s: behind it %s; step %d, %s, is the first to be told "+
			"so: the model says %s", s.Number, s.Step, s.Why, d.Number, d.Step, d.Why)
	}
	return fmt.Sprintf("the model does not understand step %d, %s: it says %s", d.Number, d.Step, d.Why)
}

// Looker is a machine whose proxies' caches can be looked into, which changes nothing but how old their entries seem.
type Looker interface {
	Machine
	// Cached is what a proxy would answer from its cache to the request that had that answer; nil where it would ask.
	Cached(plan.Answer) *plan.Answer
}

// Taking takes steps on a machine and, if Oracle is not nil, on the oracle beside it.
type Taking struct {
	Machine, Oracle Machine
	// Look compares the proxies' caches behind each step, so that a *Disagreement names the step that it comes of. Both
	// machines must be Lookers.
	Look  bool
	Since *Disagreement // the first step behind which they differed, nil while none did

	taken int
	asked map[string]plan.Answer // each request that was answered by a proxy, by what it is
}

// Take takes steps behind those that it has taken, and returns what the machine saw. A difference is a *Disagreement;
// the observations up to it are returned with it.
func (t *Taking) Take(steps []plan.Step) (seen []plan.Observation, err error) {
	for _, s := range steps {
		t.taken++
		got, err := t.Machine.Apply(s)
		if err != nil {
			return seen, fmt.Errorf("step %d, %s: %w", t.taken, s, err)
		}
		seen = append(seen, got)
		if t.Oracle == nil {
			continue
		}
		want, err := t.Oracle.Apply(s)
		if err != nil {
			return seen, fmt.Errorf("step %d, %s: the model: %w", t.taken, s, err)
		}
		if t.Look {
			t.look(s, got, want)
		}
		if d := differ(s, want, got); d != "" {
			return seen, &Disagreement{t.taken, s, d, t.Since}
		}
	}
	return seen, nil
}

// differ is how an observation differs from what the oracle says, "" where it does not.
func differ(s plan.Step, want, got plan.Observation) string {
	if s.Verb.Class() == plan.Registry {
		want, got = want.Coarse(), got.Coarse()
	} else if s.Verb == plan.Keepalive { // a proxy answers it out of a stream of its own
		want.Revision, got.Revision = 0, 0
	}
	switch s.Verb {
	case plan.Keepalive, plan.Register, plan.Restart, plan.Replace:
		// A member that is cut off from raft still asks the leader it last knew to renew a lease, over HTTP, for as
		// long as it takes it to notice: that is a matter of time and changes nothing that a plan can see
		// (etcdserver/v3_server.go, LeaseRenew).
		if want.Err == plan.ErrUnavailable && (got.Err == "" || s.Verb == plan.Keepalive) {
			got.Err = want.Err
		}
	}
	return want.Differ(got)
}

// look compares what the caches hold of all that was asked until now, and notes the first step behind which they
// differ.
func (t *Taking) look(s plan.Step, seen ...plan.Observation) {
	if t.asked == nil {
		t.asked = map[string]plan.Answer{}
	}
	for _, o := range seen {
		for _, a := range o.Answers {
			if a.Source != history.Member {
				t.asked[a.Via+" "+a.Keys+" "+a.Shape] = a
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(t.asked)) {
		a := t.asked[id]
		got, want := told(t.Machine.(Looker).Cached(a)), told(t.Oracle.(Looker).Cached(a))
		if got != want && t.Since == nil {
			t.Since = &Disagreement{Number: t.taken, Step: s, Why: fmt.Sprintf("%s has %s of %s, not %s", a.Via, got,
				strings.TrimSpace(a.Keys+" "+a.Shape), want)}
		}
	}
}

// told is an answer without what go-micro makes different each time.
func told(a *plan.Answer) string {
	if a == nil {
		return "nothing"
	}
	return fmt.Sprintf("%q", plan.Observation{Answers: []plan.Answer{*a}}.Coarse())
}
