package lab

import (
	"context"
	"errors"
	"slices"
	"time"

	"ghostroute/harness/etcd"
	"ghostroute/harness/explore"
	"ghostroute/harness/explore/check"
	"ghostroute/harness/explore/model"
	"ghostroute/harness/explore/plan"
	"ghostroute/harness/history"
)

// Outcome is what a plan came to.
type Outcome struct {
	Plan    plan.Plan
	Steps   int  // that were taken, those behind the plan's own too
	Again   bool // it was run more than once: see Try
	Events  []history.Event
	Record  check.Record
	Results []check.Result
	Causes  []model.Finding // of the stock proxy: why what is wrong in the end is wrong
}

// Broken is the first result that is, nil if none is.
func (o Outcome) Broken() *check.Result {
	for i := range o.Results {
		if o.Results[i].Outcome == check.Broken {
			return &o.Results[i]
		}
	}
	return nil
}

// Try runs a plan from its beginning to the peace after it and judges its history. First p's steps; then whatever p
// left open is released and mended; then every proxy is asked, serializably, whatever p asked, until the answers are
// the truth or cfg.Heals has passed. Safety is judged over all of it, convergence over the end. With the stock proxy
// the model is held to every step.
//
// A call that nothing can answer is given up after a moment, and on a busy machine that moment may be too short for one
// that a member would have refused; and members may elect a leader that no step asked for. So where model and machine
// disagree, or etcd gave a step up, the plan is run again, with moments ten times as long, and once more with a hundred
// times, and Again says so. The caches are then looked into behind each step, for the read that is told something else
// comes long after the step that made it so.
//
// The error is trouble, and a *explore.Disagreement where the model said something else than the machine each time:
// then nothing counts. What happened until then is in the outcome.
func (l *Lab) Try(ctx context.Context, p plan.Plan, checks []check.Check) (Outcome, error) {
	return l.again(ctx, func(look bool) (Outcome, error) { return l.try(ctx, p, checks, look) })
}

func (l *Lab) again(ctx context.Context, try func(look bool) (Outcome, error)) (Outcome, error) {
	out, err := try(false)
	defer func(was time.Duration) { l.moment = was }(l.moment)
	for _, l.moment = range []time.Duration{patiently, 10 * patiently} {
		if !errors.As(err, new(*explore.Disagreement)) && !etcd.GaveUp(err) || ctx.Err() != nil {
			break
		}
		steps := out.Steps
		out, err = try(true)
		out.Steps += steps
		out.Again = true
	}
	return out, err
}

// beside is an oracle as a machine; nil where there is none, not a machine that is nil.
func beside(oracle *model.Model) explore.Machine {
	if oracle == nil {
		return nil
	}
	return oracle
}

func (l *Lab) try(ctx context.Context, p plan.Plan, checks []check.Check, look bool) (out Outcome, err error) {
	out.Plan = p
	machine, err := l.Machine(ctx, p)
	if err != nil {
		return out, err
	}
	defer func() {
		if len(out.Events) == 0 {
			out.Events = machine.history.Events()
		}
		err = errors.Join(err, machine.Close())
	}()
	oracle := l.oracle(machine)
	taking := explore.Taking{Machine: machine, Oracle: beside(oracle), Look: look}
	take := func(steps []plan.Step) error {
		seen, err := taking.Take(steps)
		out.Steps += len(seen)
		return err
	}
	if err := take(slices.Concat(p.Steps, p.Closing())); err != nil {
		return out, err
	}
	if l.cfg.Restart {
		for i := range p.Proxies {
			if err := take([]plan.Step{{Verb: plan.Reboot, Target: plan.Name('p', i)}}); err != nil {
				return out, err
			}
		}
	}
	probes := p.Probes()
	healed := machine.history.Now()
	for began := time.Now(); ; {
		for _, read := range probes {
			for i := range p.Proxies {
				read.Via = plan.Name('p', i)
				if err := take([]plan.Step{read}); err != nil {
					return out, err
				}
			}
		}
		if l.cfg.Heals == 0 || time.Since(began) > l.cfg.Heals {
			break
		}
		if r := check.Convergence().Judge(machine.record(healed)); r.Outcome == check.Kept {
			break
		}
		select {
		case <-ctx.Done():
			return out, context.Cause(ctx)
		case <-time.After(10 * time.Millisecond): // it heals by itself or it does not
		}
	}
	if oracle != nil {
		out.Causes = oracle.Wrong()
	}
	if watches(p) {
		if err := machine.observe(ctx, checks); err != nil {
			return out, err
		}
	}
	machine.unfollow()
	out.Record = machine.record(healed)
	out.Events = machine.history.Events()
	if l.cfg.Stock() && len(out.Record.Places) > 0 {
		broken, _ := out.Record.Breaches()
		out.Causes = append(out.Causes, model.Told(p, out.Events, out.Record.Places, broken)...)
	}
	for _, c := range checks {
		out.Results = append(out.Results, c.Judge(out.Record))
	}
	return out, nil
}
