package scenarios

import (
	"context"
	"fmt"
	"slices"
	"time"

	"ghostroute/harness"
	"ghostroute/harness/etcd"
	"ghostroute/harness/gateway"
	"ghostroute/harness/history"
	"ghostroute/harness/proxy"
	"ghostroute/harness/verdict"
)

// Trial is one scenario against one fix, as one kind of gateway reads it.
type Trial struct {
	*harness.Bench
	Scenario Scenario
	Fix      Fix

	ctx context.Context
}

// cacheTTL is go-micro's registry/cache.DefaultTTL in a trial: a minute as shipped, shortened so that a trial sees it lapse.
const cacheTTL = 200 * time.Millisecond

// Result is what a trial came to: its history with the question put to it, and the verdict.
type Result struct {
	verdict.Saved
	Verdict verdict.Verdict
}

// Topology is what a scenario and a fix together make of the incident's topology, for one reading.
func Topology(s Scenario, f Fix, reading gateway.Kind) harness.Topology {
	// One member upstream: a serializable miss that meets a member a moment behind would be kept, and then it would be luck what the
	// trial shows. Where members matter, the scenario says so.
	top := harness.Topology{Reading: reading, CacheTTL: cacheTTL, Upstream: []string{"m1"}}
	for _, change := range []func(*harness.Topology){s.Needs, f.Apply} {
		if change != nil {
			change(&top)
		}
	}
	return top
}

// Try runs one trial on a cluster that it has for itself and leaves as it found it, but for keys. A trial that could not be carried
// out is an unknown verdict that says why; the error is for what should never happen.
func Try(ctx context.Context, cluster *etcd.Cluster, s Scenario, f Fix, reading gateway.Kind) (Result, error) {
	top := Topology(s, f, reading)
	b, err := harness.Open(ctx, top, harness.On(cluster))
	if err != nil {
		return Result{}, err
	}
	t := &Trial{Bench: b, Scenario: s, Fix: f, ctx: ctx}
	failed := t.run()
	q := t.question()
	events := b.History.Events()
	closed := b.Close()
	r := Result{Saved: verdict.Saved{Question: &q, Events: events}}
	if failed != nil {
		r.Failed = failed.Error()
	}
	r.Verdict = r.Judge()
	r.Label = r.Verdict.Label()
	return r, closed
}

// run is the trial: arrange, act, observe, release, observe.
func (t *Trial) run() error {
	t.Phase(history.PhaseArrange, "every gateway reads once and must see truth")
	if err := t.arrange(); err != nil {
		return err
	}
	t.Phase(history.PhaseAct, "%s", t.Scenario.Title)
	letGo, err := t.worst()
	if letGo != nil {
		defer letGo()
	}
	if err == nil {
		err = t.Scenario.Act(t)
	}
	if err != nil {
		return fmt.Errorf("the change was not made: %w", err)
	}
	if _, err := t.Settle(t.ctx); err != nil {
		return err
	}
	if err := t.turnover(t.History.Now()); err != nil {
		return err
	}
	t.Phase(history.PhaseObserve, "the change is acknowledged")

	if letGo != nil || t.Fix.Remedy != nil || t.Scenario.After != nil {
		// Who agrees must agree once he has read again: an event that his watch delivers late corrects go-micro's memory, and no proxy's.
		began := t.History.Now()
		if agree, _ := t.round(); agree && t.turnover(began) == nil {
			t.round()
		}
		t.Phase(history.PhaseRelease, "what was held is let go")
		if letGo != nil {
			letGo()
		}
		for _, f := range []func(*Trial) error{t.Fix.Remedy, t.Scenario.After} {
			if f != nil {
				if err := f(t); err != nil {
					return fmt.Errorf("what was held was not let go: %w", err)
				}
			}
		}
		if _, err := t.Settle(t.ctx); err != nil {
			return err
		}
	}
	t.observe()
	t.Phase(history.PhaseEnd, "patience is over")
	return nil
}

func (t *Trial) arrange() error {
	if err := t.Prime(t.ctx); err != nil {
		return err
	}
	for _, f := range []func(*Trial) error{t.Fix.Deploy, t.Scenario.Prepare} {
		if f != nil {
			if err := f(t); err != nil {
				return fmt.Errorf("the premises were not made: %w", err)
			}
		}
	}
	if t.Scenario.Ask == nil {
		if err := t.Prime(t.ctx); err != nil {
			return err
		}
		// Whoever remembers for himself reads once more: his proxy too has seen everything that went before.
		if err := t.turnover(t.History.Now()); err != nil {
			return err
		}
		_, err := t.Settle(t.ctx)
		return err
	}
	if _, err := t.Settle(t.ctx); err != nil {
		return err
	}
	for _, g := range t.Gateways() {
		t.Scenario.Ask(t, g)
	}
	return nil
}

// worst makes the schedule the worst for the fix. letGo is nil if that holds nothing.
func (t *Trial) worst() (letGo func(), err error) {
	if t.Fix.Worst == nil {
		return nil, nil
	}
	return t.Fix.Worst(t)
}

// turnover waits until go-micro's gateways have read the registry since. Until then they answer from a memory that is older than the change
// whatever the proxies do; with no proxy at all they are seconds behind, and that is theirs. What counts is what they are told next.
func (t *Trial) turnover(since time.Duration) error {
	for _, g := range t.Gateways() {
		if err := t.reread(t.ctx, g, since); err != nil {
			return err
		}
	}
	return nil
}

// reread has a go-micro gateway look until it has asked the registry since, past its memory. A gateway that resolves on each request
// always asks.
func (t *Trial) reread(ctx context.Context, g *gateway.Gateway, since time.Duration) error {
	if g.Kind() != gateway.GoMicro {
		return nil
	}
	err := harness.Until(ctx, func() bool {
		g.Resolve(ctx, t.Topology.Service)
		read, ok := g.Registry().LastRead(t.Topology.Service)
		return ok && read.Began > since
	})
	if err != nil {
		return fmt.Errorf("%s never asked the registry again: %w", g.Name(), err)
	}
	return nil
}

// reads has a gateway ask the registry once, past whatever it remembers itself.
func (t *Trial) reads(ctx context.Context, g *gateway.Gateway) error {
	if g.Kind() == gateway.GoMicro {
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
		if t.Scenario.Ask != nil {
			r := t.Scenario.Ask(t, g)
			agree = harness.Agrees(r, truth) && agree
			answered = answered && r.Err == ""
			continue
		}
		r, requests := t.Look(t.ctx, g.Name())
		if slices.Contains(t.Scenario.Denied, g.Name()) {
			agree = r.Err != "" && agree
			continue
		}
		agree = harness.Agrees(r, t.demanded(truth)) && agree
		answered = answered && r.Err == ""
		for _, q := range requests {
			agree = agree && (q.Status == 200 && q.Answered == t.Topology.Service || len(truth.Endpoints) == 0)
		}
	}
	return agree, answered
}

// demanded is truth, and whoever has been told that he is registered.
func (t *Trial) demanded(truth history.Truth) history.Truth {
	for _, id := range t.Scenario.Registered {
		if e := t.Instance(id).Endpoint(); !slices.Contains(truth.Endpoints, e) {
			truth.Endpoints = append(slices.Clone(truth.Endpoints), e)
		}
	}
	return truth
}

// observe looks until every gateway agrees, and still does when go-micro's have read once more; or until nothing is left that could heal.
func (t *Trial) observe() {
	end := t.History.Now() + t.patience()
	for {
		began := t.History.Now()
		agree, answered := t.round()
		if agree && t.turnover(began) == nil {
			agree, answered = t.round()
			if agree {
				return
			}
		}
		// Who could not be answered is asked again, within reason: a connection that broke is made anew within a second or two.
		if began > end && (answered || began > end+reconnecting) || t.ctx.Err() != nil {
			return
		}
		select {
		case <-t.ctx.Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// reconnecting is how long a gateway may be without an answer at the end: gRPC waits a second before its second attempt to connect.
const reconnecting = 5 * time.Second

// patience is how long healing may take: what the fix says, and for go-micro's gateways a turnover of their memory on top, and one more for
// what a late delivery of their watch put there. Provenance proves a stale answer; waiting longer would prove nothing more.
func (t *Trial) patience() time.Duration {
	p := t.Fix.Heals + t.Scenario.Slow
	if t.Topology.Reading == gateway.GoMicro {
		p += 2 * t.Topology.CacheTTL
	}
	return p
}

func (t *Trial) question() verdict.Question {
	q := verdict.Question{Service: t.Topology.Service, Reading: string(t.Topology.Reading), Denied: t.Scenario.Denied,
		Registered: t.Scenario.Registered, Lasting: t.Scenario.Lasting, Unchanged: t.Scenario.Unchanged, HealsWithin: t.patience()}
	for _, g := range t.Gateways() {
		q.Gateways = append(q.Gateways, g.Name())
	}
	return q
}

// onlyFirstProxy gives every new connection to p1, and with drain closes the others.
func (t *Trial) onlyFirstProxy(drain bool) error {
	if len(t.Proxies()) < 2 {
		return nil
	}
	weights := map[string]int{}
	for _, p := range t.Proxies()[1:] {
		weights[p.Name()] = 0
	}
	if err := t.Balancer.SetWeights(weights); err != nil {
		return err
	}
	if !drain {
		return nil
	}
	for client, at := range t.Balancer.Pinned() {
		if slices.Contains(at, "p1") {
			continue
		}
		if err := t.Reconnect(t.ctx, client); err != nil {
			return err
		}
	}
	return nil
}

// steer gives new connections to one proxy, or with "" to all again. A fix that has its own idea of the balancer keeps it.
func (t *Trial) steer(to string) error {
	if t.Topology.Direct || t.Fix.Deploy != nil || t.Topology.Sticky || len(t.Proxies()) < 2 {
		return nil
	}
	weights := map[string]int{}
	for _, p := range t.Proxies() {
		weights[p.Name()] = 1
		if to != "" && p.Name() != to {
			weights[p.Name()] = 0
		}
	}
	return t.Balancer.SetWeights(weights)
}

func (t *Trial) restartProxies() error {
	for _, p := range t.Proxies() {
		if err := p.Restart(t.ctx); err != nil {
			return err
		}
	}
	return t.reconnected()
}

// reconnected waits until every gateway has a connection again, after something closed them.
func (t *Trial) reconnected() error {
	for _, g := range t.Gateways() {
		if err := g.Registry().Connect(t.ctx); err != nil {
			return err
		}
	}
	return nil
}

// refill makes every proxy's entry as young as it can be.
func (t *Trial) refill() error { return t.Scrub(t.ctx) }

// holdWatches holds what every proxy's watch delivers.
func (t *Trial) holdWatches() (func(), error) {
	if t.Scenario.Unheld {
		return nil, nil
	}
	var gates []*proxy.Gate
	for _, p := range t.Proxies() {
		gates = append(gates, p.Hold(proxy.Hold{RPC: "Watch", Key: t.ServicePrefix()}))
	}
	return func() {
		for _, g := range gates {
			_ = g.Caught(t.ctx) // the change is acknowledged, so its event comes; if it does not, the judge says that nothing was held
			g.Release()
		}
		t.within(func(ctx context.Context) error {
			for _, p := range t.Proxies() {
				if err := t.deliveredTo(ctx, p.Name()); err != nil {
					return err
				}
			}
			return nil
		})
	}, nil
}

// holdScrub holds the scrubber back until it is let go, and then waits until it has been everywhere.
func (t *Trial) holdScrub() (letGo func()) {
	if t.Topology.Direct {
		return nil
	}
	release := t.HoldScrub()
	return func() {
		release()
		t.within(t.Scrubbed)
	}
}

// within gives what was let go a while to happen. That it did not is for the gateways' answers to show.
func (t *Trial) within(f func(context.Context) error) {
	ctx, cancel := context.WithTimeout(t.ctx, reconnecting)
	defer cancel()
	_ = f(ctx)
}
