// Package trial puts a question to a bench: it arranges, has a change made, observes the gateways until nothing is left
// that could heal what they are told, and asks the judge. A scenario of the matrix and a notebook's own trial run the
// same phases with the same patience.
package trial

import (
	"context"
	"fmt"
	"slices"
	"time"

	"ghostroute/harness"
	"ghostroute/harness/gateway"
	"ghostroute/harness/history"
	"ghostroute/harness/pace"
	"ghostroute/harness/verdict"
	"ghostroute/harness/wait"
)

// Plan is what a trial is about. What is nil does nothing.
type Plan struct {
	Title   string
	Prepare func() error // before the change, once every gateway has seen truth
	// makes the schedule the worst, just before the change; release may be nil
	Worst func() (release func(), err error)
	// the change and its fault; returns when etcd has acknowledged the change
	Act func() error
	// after a first look at what came of it: an operator's remedy, the end of a fault
	After func() error
	// whether the first look after the change came in time for Worst to be the worst: a Late error if not
	InTime func() error
	// how gateways read; nil is by GetService, calling every endpoint they are told
	Ask func(*gateway.Gateway) history.Resolve

	Denied     []string // gateways whose user truth denies the service from the change on
	Registered []string // instances whose Register has returned nil by then
	Unchanged  bool     // it changes no endpoint, but who may read
	Proofs     []verdict.Proof
}

// Trial is one run of a plan on a bench. It is used by one goroutine.
type Trial struct {
	*harness.Bench
	Plan

	ctx    context.Context
	events int // how many the history had when the trial began
	looked bool
}

// New is a trial on a bench. ctx bounds all of it.
func New(ctx context.Context, b *harness.Bench, p Plan) *Trial {
	return &Trial{Bench: b, Plan: p, ctx: ctx, events: b.History.Len()}
}

// Run arranges, acts, observes, releases and observes again. Its error is a trial that was not carried out.
func (t *Trial) Run() error {
	if err := t.Arrange(); err != nil {
		return err
	}
	t.Phase(history.PhaseAct, "%s", t.Title)
	release, err := t.act()
	if release != nil {
		defer release()
	}
	if err != nil {
		return fmt.Errorf("the change was not made: %w", err)
	}
	if _, err := t.Truth(t.ctx); err != nil {
		return err
	}
	if err := t.Reread(t.ctx, t.History.Now()); err != nil {
		return err
	}
	t.Phase(history.PhaseObserve, "the change is acknowledged")
	if release != nil || t.After != nil {
		if err := t.release(release); err != nil {
			return err
		}
	}
	if err := t.Observe(); err != nil {
		return err
	}
	t.Phase(history.PhaseEnd, "patience is over")
	return nil
}

// Arrange has every gateway read until it sees truth, and once more after Prepare.
func (t *Trial) Arrange() error {
	t.Phase(history.PhaseArrange, "every gateway reads once and must see truth")
	if err := t.Prime(t.ctx); err != nil {
		return err
	}
	if t.Prepare != nil {
		if err := t.Prepare(); err != nil {
			return fmt.Errorf("the premises were not made: %w", err)
		}
	}
	if t.Ask != nil {
		if _, err := t.Truth(t.ctx); err != nil {
			return err
		}
		for _, g := range t.Gateways() {
			t.Ask(g)
		}
		return nil
	}
	if t.Prepare != nil {
		if err := t.Prime(t.ctx); err != nil {
			return err
		}
	}
	// Gateways with a cache of their own read again, so that their proxies, too, have seen what went before.
	if err := t.Reread(t.ctx, t.History.Now()); err != nil {
		return err
	}
	_, err := t.Truth(t.ctx)
	return err
}

func (t *Trial) act() (release func(), err error) {
	if t.Worst != nil {
		if release, err = t.Worst(); err != nil {
			return release, err
		}
	}
	return release, t.Act()
}

// release looks while the worst schedule holds, ends it, and has After done.
func (t *Trial) release(release func()) error {
	// A gateway that agrees must still agree after another read: a late watch event updates go-micro's cache and no
	// proxy's.
	began := t.History.Now()
	agree, _ := t.round()
	if err := t.inTime(); err != nil {
		return err
	}
	if agree && t.Reread(t.ctx, began) == nil {
		t.round()
	}
	t.Phase(history.PhaseRelease, "what was held is released")
	if release != nil {
		release()
	}
	if t.After != nil {
		if err := t.After(); err != nil {
			return fmt.Errorf("what was held was not released: %w", err)
		}
	}
	_, err := t.Truth(t.ctx)
	return err
}

// Reread waits until every go-micro gateway has read the registry since. Until then it answers from a copy that is
// older than the change whatever the proxies do: with no proxy at all it is seconds behind. What counts is what it is
// told next.
func (t *Trial) Reread(ctx context.Context, since time.Duration) error {
	for _, g := range t.Gateways() {
		if err := t.reread(ctx, g, since); err != nil {
			return err
		}
	}
	return nil
}

func (t *Trial) reread(ctx context.Context, g *gateway.Gateway, since time.Duration) error {
	if g.Kind() != gateway.GoMicro || !g.Config().Library.Reads() {
		return nil
	}
	return wait.Until(ctx, g.Name()+" never asked the registry again", func() bool {
		g.Resolve(ctx, t.Topology.Service)
		read, ok := g.Registry().LastRead(t.Topology.Service)
		return ok && read.Began > since
	})
}

// Read has a gateway ask the registry once, past any copy of its own.
func (t *Trial) Read(ctx context.Context, g *gateway.Gateway) error {
	switch {
	case !g.Config().Library.Reads(): // it asks when it starts
		if err := g.Restart(ctx); err != nil {
			return err
		}
	case g.Kind() == gateway.GoMicro:
		return t.reread(ctx, g, t.History.Now())
	}
	g.Resolve(ctx, t.Topology.Service)
	return nil
}

// round has every gateway look once. It returns whether all agree with truth, and whether all got an answer at all.
func (t *Trial) round() (agree, answered bool) {
	truth, err := t.Truth(t.ctx)
	agree, answered = err == nil, true
	for _, g := range t.Gateways() {
		if t.Ask != nil {
			r := t.Ask(g)
			agree = r.Agrees(truth) && agree
			answered = answered && r.Err == ""
			continue
		}
		r, requests := t.Look(t.ctx, g.Name())
		if slices.Contains(t.Denied, g.Name()) {
			agree = r.Err != "" && agree
			continue
		}
		agree = (t.requests() || r.Agrees(t.demanded(truth))) && agree
		answered = answered && r.Err == ""
		for _, q := range requests {
			agree = agree && (q.Status == 200 && q.Answered == t.Topology.Service || len(truth.Endpoints) == 0)
		}
	}
	return agree, answered
}

// requests says whether requests are judged and not reads: of gateways that try another instance, which is a cure of
// requests alone.
func (t *Trial) requests() bool { return t.Topology.Retry > 0 && t.Ask == nil && len(t.Denied) == 0 }

// demanded is truth, and the instances whose Register said that they are in it.
func (t *Trial) demanded(truth history.Truth) history.Truth {
	for _, id := range t.Registered {
		if e := t.Instance(id).Endpoint(); !slices.Contains(truth.Endpoints, e) {
			truth.Endpoints = append(slices.Clone(truth.Endpoints), e)
		}
	}
	return truth
}

// Observe looks until every gateway agrees, and still does when go-micro's have read once more; or until patience ends.
func (t *Trial) Observe() error {
	end := t.History.Now() + t.Patience()
	for pause := 5 * time.Millisecond; ; pause = min(3*pause, 500*time.Millisecond) {
		began := t.History.Now()
		agree, answered := t.round()
		if err := t.inTime(); err != nil {
			return err
		}
		if agree && t.Reread(t.ctx, began) == nil {
			if agree, answered = t.round(); agree {
				return nil
			}
		}
		// A gateway that got no answer asks again, within reason: a broken connection is made anew within a second or two.
		if began > end && (answered || began > end+Reconnecting) || t.ctx.Err() != nil {
			return nil
		}
		pace.Rest(t.ctx, func() {
			select {
			case <-t.ctx.Done():
			case <-time.After(min(pause, max(end-t.History.Now(), 0)+5*time.Millisecond)):
			}
		})
	}
}

// Late is a premise that time broke: what a trial needed to be young was too old by the time it was looked at, as on a
// busy machine. It says nothing about what was tried, and the trial may be made again.
type Late struct{ What string }

func (l *Late) Error() string { return "too late: " + l.What }

// inTime says whether the first look came while entries that age were as young as Worst had made them.
func (t *Trial) inTime() error {
	if t.looked {
		return nil
	}
	t.looked = true
	if t.InTime == nil {
		return nil
	}
	return t.InTime()
}

// Reconnecting is how long a gateway may be without an answer at the end: gRPC waits a second before its second attempt
// to connect.
const Reconnecting = 5 * time.Second

// Unforeseen is how long a proxy is given to heal by something that the topology does not know of: an etcd that was
// patched to let entries expire, or to watch, must not read stale for want of a second look.
const Unforeseen = 1500 * time.Millisecond

// Patience is how long healing may take: the life of a proxy's entries, a pass of the topology's scrubber, and for
// go-micro's gateways a life of their copy, and one more for a copy that a late watch event made; or what is
// unforeseen, if that is longer.
func (t *Trial) Patience() time.Duration {
	p := t.Topology.Variant.Age + t.Topology.Scrub
	if t.Topology.Reading == gateway.GoMicro {
		p += 2 * t.Topology.CacheTTL
	}
	return max(p, Unforeseen)
}

// Question is what the judge is asked.
func (t *Trial) Question() verdict.Question {
	q := verdict.Question{Requests: t.requests(),
		Service: t.Topology.Service, Reading: string(t.Topology.Reading), Denied: t.Denied,
		Registered: t.Registered, Unchanged: t.Unchanged, Proofs: t.Proofs, HealsWithin: t.Patience()}
	for _, g := range t.Gateways() {
		q.Gateways = append(q.Gateways, g.Name())
	}
	return q
}

// Events are what happened since the trial began.
func (t *Trial) Events() []history.Event { return t.History.Since(t.events) }

// Judge is the verdict on what has happened since the trial began.
func (t *Trial) Judge() verdict.Verdict { return verdict.Judge(t.Events(), t.Question()) }
