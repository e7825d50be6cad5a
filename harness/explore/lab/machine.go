package lab

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"ghostroute/harness/explore/check"
	"ghostroute/harness/explore/plan"
	"ghostroute/harness/explore/wire"
	"ghostroute/harness/history"
	"ghostroute/harness/keys"
	"ghostroute/harness/registry"
	"ghostroute/harness/stage"
)

// Machine takes one plan's steps. It is used by one goroutine.
type Machine struct {
	lab      *Lab
	ctx      context.Context
	cancel   context.CancelFunc
	plan     plan.Plan
	stage    *stage.Stage
	history  *history.History // the stage's
	unfollow func()

	wire   wire.Wire
	base   int64 // the cluster's revision before the first step, less one: what a plan counts from
	leases int64 // the id before that of l1
	step   int

	asks    []string        // the member that each proxy asks
	cut     map[string]bool // members and links, as a plan names them, black holes too
	lead    string          // the member that the plan has made the leader, "" for any
	weights []int           // the balancer's
	delay   time.Duration   // the longest that a link was given
	given   time.Time       // when the last call was given up that nothing could answer

	mu      sync.Mutex
	conns   map[string]*conn  // by client and endpoint
	dialled map[string]string // a connection's own address → its client

	tokens map[string]string            // by user
	behind map[string]map[string]string // by member that is cut off: the tokens it knows
	grants []check.Grant

	held      map[string]*holding
	instances map[string]*instance
	readers   map[string]*registry.Registry // by client and endpoint
	holds     holds
	compacted int64 // as etcd counts
}

// moment is how long a call is waited for that nothing can answer: it needs a quorum and its member is cut off, or it
// has no way at all. etcd would take five seconds and more to say so. What a member can refuse without a quorum it has
// refused by then.
func (m *Machine) moment() time.Duration { return m.lab.moment + 4*m.delay }

// a moment, and one on a machine that was too busy for it
const (
	shortly   = 20 * time.Millisecond
	patiently = 10 * shortly
)

// patience is how long anything may take that must come.
const patience = 20 * time.Second

// gaveUp notes that a call was given up a moment ago.
func (m *Machine) gaveUp() { m.given = time.Now() }

// quiet waits until every node on its way has heard that a call was given up: were the way mended before, it would be
// answered after all, and a plan would mean two things.
func (m *Machine) quiet(ctx context.Context) error {
	select {
	case <-time.After(time.Until(m.given.Add(5*time.Millisecond + 4*m.delay))):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Machine begins p on a wiped cluster, with new proxies.
func (l *Lab) Machine(ctx context.Context, p plan.Plan) (m *Machine, err error) {
	if why := l.cfg.Topology.Variant.NeedsUser; p.Auth && why != "" {
		return nil, errors.New(why)
	}
	cluster, revision, err := l.ready(ctx, p.Members)
	if err != nil {
		return nil, err
	}
	h := history.New()
	m = &Machine{lab: l, plan: p, history: h, stage: stage.New(h, cluster), base: revision - 1,
		leases: int64(l.runs) << 20,
		cut:    map[string]bool{}, conns: map[string]*conn{}, dialled: map[string]string{}, tokens: map[string]string{},
		behind: map[string]map[string]string{}, held: map[string]*holding{}, instances: map[string]*instance{},
		readers: map[string]*registry.Registry{}}
	m.wire = wire.Wire{Base: m.base, Ago: m.ago, LeaseID: m.leaseID, Value: value}
	m.ctx, m.cancel = context.WithCancel(ctx)
	m.stage.ClientOf, m.stage.Watched = m.clientOf, watches(p)
	m.stage.Program, m.stage.Balances = l.cfg.Topology.Proxy, l.cfg.Topology.Balancer
	m.unfollow = cluster.Follow(h, revision+1)
	if err := m.begin(); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

func (m *Machine) begin() error {
	ctx, cancel := context.WithTimeout(m.ctx, patience)
	defer cancel()
	if m.plan.Auth {
		if err := m.enableAuth(ctx); err != nil {
			return err
		}
	}
	if m.lab.cfg.Topology.Direct {
		return m.startHolds(ctx)
	}
	for i := range m.plan.Proxies {
		if err := m.startProxy(ctx, plan.Name('p', i), plan.Name('m', i%m.plan.Members)); err != nil {
			return err
		}
	}
	if every := m.lab.cfg.Topology.Scrub; every > 0 {
		m.stage.StartScrub(every, m.lab.cfg.Topology.Scrubbing(), keys.Registry, "k")
	}
	return errors.Join(m.startBalancer(), m.startHolds(ctx))
}

// startProxy starts a proxy that asks one member, and can be narrowed to those that the plan says.
func (m *Machine) startProxy(ctx context.Context, name, member string) error {
	may := []string{member}
	for _, s := range m.plan.Steps {
		if s.Verb == plan.Narrow && s.Target == name {
			may = append(may, s.Other)
		}
	}
	// The proxy lives as long as the machine, not as this step.
	p, err := m.stage.StartProxy(m.ctx, name, m.lab.cfg.Topology.Variant, may...)
	if err != nil {
		return err
	}
	m.asks = append(m.asks, member)
	if !slices.ContainsFunc(may, func(other string) bool { return other != member }) {
		return nil
	}
	// etcd's client may be told of other endpoints once its resolver is built, which it does on another goroutine and
	// without a lock (client/v3/internal/resolver/resolver.go, Build and SetEndpoints); a connection says that it is.
	if err := p.Reach(ctx, true); err != nil {
		return err
	}
	return p.Narrow(member)
}

// Close loses whatever is still held and ends what the machine began. What the plan did to the members is wiped; a
// cluster that cannot be is replaced. Where the lab's caller was interrupted nothing is wiped: no plan follows.
func (m *Machine) Close() error {
	interrupted := m.ctx.Err() != nil
	for _, h := range m.held {
		h.gate.Lose()
		<-h.done
	}
	m.held = nil
	errs := m.holds.close()
	m.cancel()
	for _, in := range m.instances {
		errs = append(errs, in.reg.Close())
	}
	for _, r := range m.readers {
		errs = append(errs, r.Close())
	}
	for _, c := range m.conns {
		errs = append(errs, c.Close())
	}
	errs = append(errs, m.stage.Close())
	m.unfollow()
	if !interrupted {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(m.ctx), patience)
		defer cancel()
		_ = m.lab.pool.Give(ctx, m.stage.Cluster)
	}
	return errors.Join(errs...)
}

// Apply takes the next step, and waits until every member that can has applied what it caused.
func (m *Machine) Apply(s plan.Step) (plan.Observation, error) {
	act := acts[s.Verb]
	if act == nil {
		return plan.Observation{}, fmt.Errorf("the lab does not know the verb %q", s.Verb)
	}
	m.step++
	m.history.Add(history.Event{Who: "bench", Step: &history.Step{Text: fmt.Sprintf("%d. %s", m.step, s)}})
	ctx, cancel := context.WithTimeout(m.ctx, patience)
	defer cancel()
	obs, err := act(m, ctx, s)
	if err != nil || s.Verb == plan.Read {
		return obs, err
	}
	if err := m.stage.Cluster.WaitCaughtUp(ctx); err != nil {
		return obs, err
	}
	if s.Verb == plan.Compact && obs.Err == "" {
		m.compacted = max(m.compacted, m.ago(s.Back))
	}
	if !watches(m.plan) {
		return obs, nil
	}
	return obs, m.deliver(ctx)
}

// Cached is what a proxy would answer from its cache to the request that had that answer; nil where it would ask.
func (m *Machine) Cached(a plan.Answer) *plan.Answer {
	req, err := m.wire.Again(a)
	p := m.stage.Proxy(a.Via)
	if err != nil || p == nil {
		return nil
	}
	resp := p.Peek(m.ctx, req)
	if resp == nil {
		return nil
	}
	held := m.wire.Answer(a.Via, history.Hit, req, resp)
	return &held
}

func (m *Machine) leaseID(lease string) int64 { return m.leases + int64(plan.Number(lease)) + 1 }

// ago is a revision that a plan counts back to, as etcd counts.
func (m *Machine) ago(back int) int64 {
	newest := m.base + 1
	for _, x := range m.stage.Cluster.Members {
		newest = max(newest, x.Applied())
	}
	return max(newest-int64(back), m.base+1)
}

// failed is an error in a plan's words; what has none is the machine's own trouble.
func (m *Machine) failed(err error) (plan.Observation, error) {
	text := rpctypes.ErrorDesc(err)
	for known, word := range wire.Errors() {
		if strings.Contains(text, status.Convert(known).Message()) { // proxies pass some on without their code
			return plan.Observation{Err: word}, nil
		}
	}
	code := status.Code(err)
	over := code == codes.Unavailable || code == codes.DeadlineExceeded || code == codes.Canceled ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
	if over && m.ctx.Err() == nil {
		return plan.Observation{Err: plan.ErrUnavailable}, nil
	}
	return plan.Observation{}, err
}
