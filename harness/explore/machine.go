// Package explore lets the machine find the next incident: random plans on a machine, each judged, each failure made
// small, each small plan one line that can be run again.
//
// What a plan is says package plan; what should come of it package model; what is promised package check. A machine may
// be the model itself, etcd's own code without its network (in the model's tests), or real parts (package lab).
package explore

import (
	"fmt"

	"ghostroute/harness/explore/plan"
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
	Why    string // what the oracle says, and what it should have said
}

func (d *Disagreement) Error() string {
	return fmt.Sprintf("the model does not understand step %d, %s: it says %s", d.Number, d.Step, d.Why)
}

// Take takes steps on a machine and, if oracle is not nil, on the oracle beside it, and returns what the machine saw;
// taken is how many steps they have taken already. A difference is a *Disagreement; the observations up to it are
// returned with it.
func Take(taken int, steps []plan.Step, machine, oracle Machine) (seen []plan.Observation, err error) {
	for i, s := range steps {
		n := taken + i + 1
		got, err := machine.Apply(s)
		if err != nil {
			return seen, fmt.Errorf("step %d, %s: %w", n, s, err)
		}
		seen = append(seen, got)
		if oracle == nil {
			continue
		}
		want, err := oracle.Apply(s)
		if err != nil {
			return seen, fmt.Errorf("step %d, %s: the model: %w", n, s, err)
		}
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
		if d := want.Differ(got); d != "" {
			return seen, &Disagreement{n, s, d}
		}
	}
	return seen, nil
}
