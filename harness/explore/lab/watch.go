package lab

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	grpcconn "ghostroute/harness/conn"
	"ghostroute/harness/explore/check"
	"ghostroute/harness/explore/plan"
	"ghostroute/harness/hangup"
	"ghostroute/harness/history"
	"ghostroute/harness/promise"
	"ghostroute/harness/tap"
)

// holds is what clients hold open. Their clients are etcd's own, which ask again for what broke off: a watch is what
// that client makes of it.
type holds struct {
	clients map[string]*clientv3.Client // by client and endpoint
	others  map[string]*tap.Watched     // by client and endpoint: see follow
	open    map[string]*open            // by name
	quits   []*tap.Watched              // all that were asked for
	silent  map[int]bool                // by Asked: those that are not waited for any more, for they are told nothing
	places  map[int]string              // by Asked: where
	lost    []check.Lost                // the leaders that members lost
}

// open is a watch that is not given up.
type open struct {
	*tap.Watched
	client, at   string
	leader, idle bool
}

// Within spoken a watch that was asked for is created or refused, and what is committed is told, or it is taken to be
// silent until the plan is over. That needs to be no proof: it says how far a step is waited for.
const spoken = 500 * time.Millisecond

// startHolds makes the clients that the plan has watch, while everything is well. It does nothing for other plans.
func (m *Machine) startHolds(ctx context.Context) error {
	m.holds = holds{clients: map[string]*clientv3.Client{}, others: map[string]*tap.Watched{}, open: map[string]*open{},
		silent: map[int]bool{}, places: map[int]string{}}
	for _, s := range m.plan.Steps {
		id := s.Client + " " + m.enters(s.Via)
		if s.Verb != plan.Watch && s.Verb != plan.Follow || m.holds.clients[id] != nil {
			continue
		}
		addr, err := m.address(s.Client, m.enters(s.Via))
		if err != nil {
			return err
		}
		cfg := clientv3.Config{Endpoints: []string{addr}, DialTimeout: patience, Logger: zap.NewNop(),
			DialOptions: m.dialling(s.Client)}
		if m.plan.Auth {
			cfg.Username, cfg.Password = s.Client, s.Client
		}
		c, err := clientv3.New(cfg)
		if err != nil {
			return fmt.Errorf("%s was not connected to %s: %w", s.Client, s.Via, err)
		}
		m.holds.clients[id] = c
		if err := grpcconn.Ready(ctx, c.ActiveConnection()); err != nil {
			return fmt.Errorf("%s was not connected to %s: %w", s.Client, s.Via, err)
		}
	}
	return nil
}

// watches says whether the plan has watches.
func watches(p plan.Plan) bool {
	return slices.ContainsFunc(p.Steps, func(s plan.Step) bool { return s.Verb.Class() == plan.Open })
}

// close gives up every watch and ends their clients.
func (h *holds) close() (errs []error) {
	for _, w := range h.quits {
		w.Quit()
	}
	for _, c := range h.clients {
		errs = append(errs, hangup.Close(c))
	}
	return errs
}

// watch has a client watch a range, and waits until that stands, was refused, or is taken to be silent.
func (m *Machine) watch(ctx context.Context, s plan.Step) error {
	from := int64(0)
	if s.Past {
		from = m.wire.Ago(s.Ago)
	}
	_, err := m.asksFor(ctx, s, from)
	return err
}

func (m *Machine) asksFor(ctx context.Context, s plan.Step, from int64) (*open, error) {
	key, end, err := plan.Bounds(s.Keys)
	if err != nil {
		return nil, err
	}
	at := m.enters(s.Via)
	var opts []clientv3.OpOption
	if end != "" {
		opts = append(opts, clientv3.WithRange(end))
	}
	if from > 0 {
		opts = append(opts, clientv3.WithRev(from))
	}
	wctx := m.ctx
	if s.Leader {
		wctx = clientv3.WithRequireLeader(wctx)
	}
	seen := m.history.Len()
	t := tap.Tap{Client: s.Client, History: m.history}
	o := &open{t.Watch(wctx, m.holds.clients[s.Client+" "+at].Watcher, s.Name, key, s.Idle, opts...), s.Client, at,
		s.Leader, s.Idle}
	m.holds.open[s.Name], m.holds.places[o.Asked] = o, at
	m.holds.quits = append(m.holds.quits, o.Watched)
	m.holds.silent[o.Asked] = !m.answered(ctx, o)
	if from > 0 && from <= m.compacted && s.Idle && at[0] == 'p' { // the proxy passes on that it is over
		within, cancel := context.WithTimeout(ctx, spoken)
		defer cancel()
		_, _ = m.history.Wait(within, seen, toldOver(at, s.Client, true))
	}
	return o, context.Cause(ctx)
}

// answered waits until a watch was created or refused, and says whether it was before it may be taken to be silent.
func (m *Machine) answered(ctx context.Context, o *open) bool {
	within := spoken
	if o.at[0] == 'p' && m.unlinkedFrom(o.at) {
		within = m.moment()
	}
	select {
	case <-o.Answered:
		return true
	case <-time.After(within):
	case <-ctx.Done():
	}
	return false
}

// toldOver is that a proxy told a client that a watch of its is over, because it is compacted or because the client
// gave it up (see proxy.Config.Watched).
func toldOver(proxy, client string, compacted bool) func(history.Event) bool {
	return func(e history.Event) bool {
		return e.Who == proxy && e.Watch != nil && e.Watch.Watch == proxy+" to "+client &&
			(e.Watch.Compacted > 0) == compacted
	}
}

// memberOf is the member that a node asks, or is.
func (m *Machine) memberOf(node string) string {
	if node[0] == 'p' {
		return m.asks[plan.Number(node)]
	}
	return node
}

func (m *Machine) unwatch(_ context.Context, s plan.Step) error {
	if o := m.holds.open[s.Name]; o != nil {
		delete(m.holds.open, s.Name)
		o.Quit()
	}
	return nil
}

// follow has a client list a range and watch it from the next revision on. Where that is compacted it lists again, as
// often as it takes to call it a livelock. Its client watches something else all the time, as an informer of several
// ranges does: so it gives a watch up by a word, which its proxy confirms when nobody can join that watch any more.
func (m *Machine) follow(ctx context.Context, s plan.Step) (seen plan.Observation, err error) {
	at := m.enters(s.Via)
	if id := s.Client + " " + at; m.holds.others[id] == nil {
		t := tap.Tap{Client: s.Client, History: m.history}
		w := t.Watch(m.ctx, m.holds.clients[id].Watcher, "else at "+at, "else", false)
		m.holds.others[id], m.holds.quits = w, append(m.holds.quits, w)
		m.holds.silent[w.Asked], m.holds.places[w.Asked] = true, at
		m.answered(ctx, &open{Watched: w, at: at})
	}
	for n := range promise.Rounds {
		list, err := m.call(ctx, plan.Step{Verb: plan.Read, Client: s.Client, Via: s.Via, Keys: s.Keys})
		if n == 0 {
			seen = list // the others tell the model nothing new
		}
		if err != nil || len(list.Answers) == 0 {
			return seen, err
		}
		before := m.history.Len()
		from := m.base + list.Answers[0].Revision + 1
		o, err := m.asksFor(ctx, s, from)
		if err != nil || from >= m.compacted || !m.ended(ctx, o) {
			return seen, err
		}
		if at[0] == 'p' {
			within, cancel := context.WithTimeout(ctx, spoken)
			_, _ = m.history.Wait(within, before, toldOver(at, s.Client, false))
			cancel() // a process says no such word: then the next watch may join this one
		}
	}
	return seen, nil
}

// ended says whether a watch comes to its end.
func (m *Machine) ended(ctx context.Context, o *open) bool {
	ctx, cancel := context.WithTimeout(ctx, spoken)
	defer cancel()
	_, err := m.history.Wait(ctx, o.Asked, func(e history.Event) bool {
		return e.Who == o.client && e.Watch != nil && e.Watch.Op == history.WatchEnd
	})
	return err == nil
}

// deliver waits until every watch has been told what a step had committed. One that is not within a while is taken to
// be silent, and not waited for again.
func (m *Machine) deliver(ctx context.Context) error {
	for began := time.Now(); ; {
		var waiting []int
		if top, _ := promise.Reached(m.history.Events()); max(top, m.base+1) < m.ago(0) && time.Since(began) <= spoken {
			waiting = append(waiting, 0) // what was committed is not all recorded yet
		}
		for _, b := range promise.Judge(m.history.Events(), promise.Question{Clients: m.clients()}).Breaches {
			if b.Promise == promise.Silent && !m.holds.silent[b.Events[0]] && !m.idle(b.Events[0]) {
				waiting = append(waiting, b.Events[0])
			}
		}
		if len(waiting) == 0 {
			return nil
		}
		if time.Since(began) > spoken {
			for _, asked := range waiting {
				m.holds.silent[asked] = true
			}
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

func (m *Machine) idle(asked int) bool {
	for _, o := range m.holds.open {
		if o.Asked == asked {
			return o.idle
		}
	}
	return false
}

func (m *Machine) clients() (names []string) {
	for i := range m.plan.Clients {
		names = append(names, plan.Name('g', i))
	}
	return names
}

// witnessed cuts a member off. If somebody watches by way of it who requires a leader, it returns when a witness, who
// does so at the member itself, has been told that there is none: the others are to be told, too.
func (m *Machine) witnessed(ctx context.Context, member string, cut func() error) error {
	var lost check.Lost
	for _, o := range m.holds.open {
		if o.leader && m.memberOf(o.at) == member && !(o.at[0] == 'p' && m.unlinkedFrom(o.at)) {
			lost.Watches = append(lost.Watches, o.Asked)
		}
	}
	if len(lost.Watches) == 0 {
		return cut()
	}
	c, err := m.stage.At(ctx, member)
	if err != nil {
		return err
	}
	t := tap.Tap{Client: check.Witness, History: m.history}
	w := t.Watch(clientv3.WithRequireLeader(m.ctx), c.Watcher, member, "else", false)
	m.holds.quits, lost.Watches = append(m.holds.quits, w), append(lost.Watches, w.Asked)
	m.answered(ctx, &open{Watched: w, at: member})
	if err := cut(); err != nil {
		return err
	}
	if _, err = m.history.Wait(ctx, w.Asked, func(e history.Event) bool {
		return e.Who == check.Witness && e.Watch != nil && strings.Contains(e.Watch.Reason, "no leader")
	}); err != nil {
		return fmt.Errorf("nobody was told that %s has no leader: %w", member, err)
	}
	m.holds.lost = append(m.holds.lost, lost)
	return nil
}

// observe has idle clients read, and waits until time can change nothing of what checks say of watches: whoever watches
// has been told everything, or patience is over.
func (m *Machine) observe(ctx context.Context, checks []check.Check) error {
	for _, o := range m.holds.open {
		if o.idle {
			o.Read()
		}
	}
	m.phase(history.PhaseObserve, "what clients hold open is judged from here on")
	waiting := func() bool {
		rec := m.record(0)
		return slices.ContainsFunc(checks, func(c check.Check) bool {
			return c.Watches && c.Judge(rec).Outcome == check.Unknown
		})
	}
	for began := time.Now(); len(m.holds.places) > 0 && waiting() && time.Since(began) <= promise.Patience; {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(5 * time.Millisecond):
		}
	}
	m.phase(history.PhaseEnd, "patience is over")
	return nil
}

func (m *Machine) phase(p history.Phase, text string) {
	m.history.Add(history.Event{Who: "bench", Step: &history.Step{Phase: p, Text: text}})
}
