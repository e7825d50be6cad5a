package scenarios

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ghostroute/harness"
	"ghostroute/harness/etcd"
	"ghostroute/harness/gateway"
	"ghostroute/harness/history"
	"ghostroute/harness/pace"
	"ghostroute/harness/proxy"
	"ghostroute/harness/trial"
	"ghostroute/harness/verdict"
)

// Trial is one scenario against one fix, as one kind of gateway reads it.
type Trial struct {
	*trial.Trial
	Scenario Scenario
	Fix      Fix

	ctx    context.Context
	filled time.Duration // when entries that age were filled last
	held   []*proxy.Gate // what holds events, where anything does
	late   error         // why what heals the proxies has not been everywhere, though it was free to
}

// cacheTTL is go-micro's registry/cache.DefaultTTL in a trial: a minute as shipped, shortened so that a trial sees it
// lapse.
const cacheTTL = 200 * time.Millisecond

// Result is what a trial came to: its history with the question put to it, and the verdict.
type Result struct {
	verdict.Saved
	Late    bool // time broke a premise of the trial: it says nothing, and may be made again
	Overran bool // it was still running when its time was over
	Verdict verdict.Verdict
	Took    time.Duration // with its cluster's start, where one was started
}

// Topology is what a scenario and a fix together make of the incident's topology, for one reading.
func Topology(s Scenario, f Fix, reading gateway.Kind) harness.Topology {
	// One member: a serializable miss that meets a member a moment behind would be kept, and then it would be luck what
	// the trial shows. Where members matter, the scenario says so. It is quicker, too: most of what three idle members
	// do is to tell each other that they are.
	top := harness.Topology{Members: 1, Reading: reading, CacheTTL: cacheTTL}
	for _, change := range []func(*harness.Topology){s.Needs, f.Apply} {
		if change != nil {
			change(&top)
		}
	}
	return top
}

// Try runs one trial on a cluster that it has for itself and leaves as it found it, but for keys. A trial that could
// not be carried out is an unknown verdict that says why; the error is for what should never happen.
func Try(ctx context.Context, cluster *etcd.Cluster, on On, s Scenario, f Fix, reading gateway.Kind) (Result, error) {
	b, err := harness.Open(ctx, on.topology(Topology(s, f, reading)), harness.On(cluster))
	switch {
	case err == nil:
	case ctx.Err() != nil || etcd.GaveUp(err):
		r := Result{Saved: verdict.Saved{Question: new(verdict.Question)}} // about nothing that was done
		r.broke(&trial.Late{What: "the trial did not begin: " + err.Error()})
		return r, nil
	default:
		return Result{}, err
	}
	t := newTrial(ctx, b, s, f)
	failed := t.Run()
	if failed == nil && t.late != nil {
		failed = &trial.Late{What: t.late.Error()}
	}
	if failed == nil {
		failed = t.uncrossed()
	}
	q, events := t.Question(), t.History.Events()
	closed := b.Close()
	r := Result{Saved: verdict.Saved{Question: &q, Events: events}}
	r.broke(failed)
	return r, closed
}

// broke judges a trial of which a premise broke, or with nil none. A scenario that has another leader elected tries
// again where it must: what is given up for one is given up for the machine.
func (r *Result) broke(failed error) {
	if failed != nil {
		r.Failed, r.Late = failed.Error(), errors.As(failed, new(*trial.Late)) || etcd.GaveUp(failed)
	}
	r.Verdict = r.Judge()
	r.Label = r.Verdict.Label()
}

func newTrial(ctx context.Context, b *harness.Bench, s Scenario, f Fix) *Trial {
	t := &Trial{Scenario: s, Fix: f, ctx: ctx}
	p := trial.Plan{Title: s.Title, Denied: s.Denied, Registered: s.Registered, Unchanged: s.Unchanged,
		Prepare: t.all(f.Deploy, s.Prepare), Act: t.all(s.Act), After: t.all(f.Remedy, s.After)}
	if s.Proofs != nil {
		p.Proofs = s.Proofs(b.Topology)
	}
	p.Worst, p.InTime = t.worst, t.inTime
	if s.Ask != nil {
		p.Ask = func(g *gateway.Gateway) history.Resolve { return s.Ask(t, g) }
	}
	t.Trial = trial.New(ctx, b, p)
	return t
}

// all is those of the steps that there are, one after another; nil where there is none.
func (t *Trial) all(steps ...func(*Trial) error) func() error {
	var some []func(*Trial) error
	for _, f := range steps {
		if f != nil {
			some = append(some, f)
		}
	}
	if len(some) == 0 {
		return nil
	}
	return func() error {
		for _, f := range some {
			if err := f(t); err != nil {
				return err
			}
		}
		return nil
	}
}

// through says whether what a proxy does can be done: there is one that knows RPCs from bytes.
func (t *Trial) through() bool { return !t.Topology.Direct && !t.Topology.Variant.Relays }

// expire waits until the lease of an instance has ended. Entries that age are made young as late as can be: shortly
// before the lease, by its own clock, may end.
func (t *Trial) expire(id string) error {
	if t.Topology.Variant.Age > 0 {
		put, err := t.History.Wait(t.ctx, 0, func(e history.Event) bool {
			return e.Write != nil && e.Who == id && e.Write.Op == "put"
		})
		if err != nil {
			return err
		}
		select {
		case <-t.ctx.Done():
		case <-time.After(put.Write.Began + leaseTTL - 100*time.Millisecond - t.History.Now()):
		}
		if err := t.refill(); err != nil {
			return err
		}
		r, err := t.Cluster.Truth(t.ctx, t.ServiceKey(id))
		if err != nil {
			return err
		}
		if r.Count == 0 {
			return &trial.Late{What: "the lease of " + id + " ended before the proxies' entries were filled once more"}
		}
	}
	var err error
	pace.Rest(t.ctx, func() { err = t.Expire(t.ctx, id) })
	return err
}

// crashed has an instance crash, and then something done.
func (t *Trial) crashed(id string, then func() error) error {
	if err := t.Instance(id).Crash(); err != nil {
		return fmt.Errorf("%s did not crash as it should: %w", id, err)
	}
	return then()
}
