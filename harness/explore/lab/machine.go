package lab

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"ghostroute/harness/balancer"
	"ghostroute/harness/etcd"
	"ghostroute/harness/explore/check"
	"ghostroute/harness/explore/plan"
	"ghostroute/harness/explore/wire"
	"ghostroute/harness/history"
	"ghostroute/harness/keys"
	"ghostroute/harness/proxy"
	"ghostroute/harness/registry"
)

// Machine takes one plan's steps. It is used by one goroutine.
type Machine struct {
	lab     *Lab
	ctx     context.Context
	cancel  context.CancelFunc
	plan    plan.Plan
	history *history.History
	cluster *etcd.Cluster
	unwatch func()
	work    sync.WaitGroup // the scrubber

	wire   wire.Wire
	base   int64 // the cluster's revision before the first step, less one: what a plan counts from
	leases int64 // the id before that of l1
	step   int

	proxies []*proxy.Proxy
	asks    []string        // the member that each proxy asks
	cut     map[string]bool // members, and links as a plan names them
	lead    string          // the member that the plan has made the leader, "" for whoever is
	lb      *balancer.Balancer
	weights []int         // the balancer's
	delay   time.Duration // the longest that a link was given
	given   time.Time     // when the last call was given up that nobody could answer

	mu    sync.Mutex
	doors map[string]*door  // by client and door
	whose map[string]string // a connection's own address → its client

	tokens map[string]string            // by user
	behind map[string]map[string]string // by member that is cut off: the tokens it knows
	grants []check.Grant

	held      map[string]*holding
	instances map[string]*instance
	readers   map[string]*registry.Registry // by client and door
}

// holding is a call that is held.
type holding struct {
	gate   *proxy.Gate
	proxy  string
	cancel context.CancelFunc
	quorum bool // it needs one
	done   chan outcome
}

type outcome struct {
	obs plan.Observation
	err error
}

// moment is how long a call is waited for that nobody can answer: it needs a quorum and its member is cut off, or it has no way at
// all. etcd would take five seconds and more to say so. What a member can refuse without a quorum it has refused by then.
func (m *Machine) moment() time.Duration { return m.lab.moment + 4*m.delay }

// a moment, and one on a machine that was too busy for it
const (
	shortly   = 20 * time.Millisecond
	patiently = 10 * shortly
)

// gaveUp notes that a call was given up a moment ago.
func (m *Machine) gaveUp() { m.given = time.Now() }

// quiet waits until everybody on its way has heard that a call was given up: were the way mended before, it would be answered after all,
// and a plan would mean two things.
func (m *Machine) quiet(ctx context.Context) error {
	select {
	case <-time.After(time.Until(m.given.Add(5*time.Millisecond + 4*m.delay))):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// patience is how long anything may take that must come.
const patience = 20 * time.Second

// Machine begins p on the lab's cluster, wiped, with new proxies.
func (l *Lab) Machine(ctx context.Context, p plan.Plan) (m *Machine, err error) {
	began := time.Now()
	revision, err := l.ready(ctx, p.Members)
	if err != nil {
		return nil, err
	}
	l.Clock.Wipe += time.Since(began)
	began = time.Now()
	defer func() { l.Clock.Build += time.Since(began) }()
	m = &Machine{lab: l, plan: p, history: history.New(), cluster: l.cluster, base: revision - 1, leases: int64(l.runs) << 20,
		cut: map[string]bool{}, doors: map[string]*door{}, whose: map[string]string{}, tokens: map[string]string{},
		behind: map[string]map[string]string{}, held: map[string]*holding{}, instances: map[string]*instance{},
		readers: map[string]*registry.Registry{}}
	m.wire = wire.Wire{Base: m.base, Ago: m.ago, LeaseID: m.leaseID, Value: value}
	m.ctx, m.cancel = context.WithCancel(ctx)
	m.cluster.Record(m.history)
	m.unwatch = m.cluster.Follow(m.history, revision+1)
	defer func() {
		if err != nil {
			err = errors.Join(err, m.Close())
		}
	}()
	if p.Auth {
		if err := m.enableAuth(); err != nil {
			return m, err
		}
	}
	if l.cfg.Topology.Direct {
		return m, nil
	}
	for i := range p.Proxies {
		if err := m.startProxy(name('p', i), name('m', i%p.Members)); err != nil {
			return m, err
		}
	}
	m.scrub()
	return m, m.startBalancer()
}

// startProxy starts a proxy that asks one member, and can be pinned to those that the plan says.
func (m *Machine) startProxy(name, member string) error {
	may := []string{member}
	for _, s := range m.plan.Steps {
		if s.Verb == plan.Narrow && s.Target == name && !slices.Contains(may, s.Other) {
			may = append(may, s.Other)
		}
	}
	var up []proxy.Upstream
	for _, n := range may {
		if x := m.cluster.Member(n); x != nil {
			up = append(up, proxy.Upstream{Name: x.Name, Addr: x.Endpoint(), ID: x.ID()})
		}
	}
	p, err := proxy.Start(m.ctx, proxy.Config{Name: name, Upstream: up, Variant: m.lab.cfg.Topology.Variant, History: m.history, ClientOf: m.clientOf})
	if err != nil {
		return err
	}
	m.proxies, m.asks = append(m.proxies, p), append(m.asks, member)
	if len(up) < 2 {
		return nil
	}
	// etcd's client may be told of other endpoints once its resolver is built, which it does on another goroutine and without a lock
	// (client/v3/internal/resolver/resolver.go, Build and SetEndpoints); a connection says that it is.
	ctx, cancel := context.WithTimeout(m.ctx, patience)
	defer cancel()
	if err := p.Reach(ctx, true); err != nil {
		return err
	}
	return p.Narrow(member)
}

// scrub starts what the fix of that name runs beside the proxies.
func (m *Machine) scrub() {
	every := m.lab.cfg.Topology.Scrub
	if every == 0 {
		return
	}
	m.work.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-m.ctx.Done():
				return
			case <-tick.C:
			}
			for i := range m.proxies {
				d, err := m.doorOf("scrubber", name('p', i))
				if err != nil {
					return
				}
				for _, key := range []string{keys.Registry, "k"} {
					ctx, cancel := context.WithTimeout(m.ctx, time.Second)
					_, _ = d.kv.Range(ctx, &pb.RangeRequest{Key: []byte(key), RangeEnd: []byte(clientv3.GetPrefixRangeEnd(key))}) // the next tick tries again
					cancel()
				}
			}
		}
	})
}

// History is what happened.
func (m *Machine) History() *history.History { return m.history }

// Close loses whatever is still held and ends what the machine began. What the plan did to the members the next plan's wipe undoes.
func (m *Machine) Close() error {
	began := time.Now()
	defer func() { m.lab.Clock.Close += time.Since(began) }()
	for _, h := range m.held {
		h.gate.Lose()
		<-h.done
	}
	m.held = nil
	m.cancel()
	m.work.Wait()
	var errs []error
	for _, in := range m.instances {
		errs = append(errs, in.reg.Close())
	}
	for _, r := range m.readers {
		errs = append(errs, r.Close())
	}
	for _, d := range m.doors {
		errs = append(errs, d.conn.Close())
	}
	if m.lb != nil {
		errs = append(errs, m.lb.Close())
	}
	for _, p := range m.proxies {
		errs = append(errs, p.Close())
	}
	m.Unwatch()
	return errors.Join(errs...)
}

// Unwatch ends the following of commits: when it returns the history has all of them.
func (m *Machine) Unwatch() { m.unwatch() }

func name(kind rune, i int) string { return fmt.Sprintf("%c%d", kind, i+1) }

// number is the number in a name, less one.
func number(name string) int {
	n, _ := strconv.Atoi(name[1:])
	return n - 1
}

// Apply takes the next step.
func (m *Machine) Apply(s plan.Step) (plan.Observation, error) {
	began := time.Now()
	defer func() {
		spent := m.lab.Clock.Verbs[s.Verb]
		m.lab.Clock.Verbs[s.Verb] = Spent{spent.N + 1, spent.Took + time.Since(began)}
		m.lab.Clock.Steps += time.Since(began)
	}()
	m.step++
	m.history.Add(history.Event{Who: "bench", Step: &history.Step{Text: fmt.Sprintf("%d. %s", m.step, s)}})
	obs, err := m.apply(s)
	if err != nil {
		return obs, err
	}
	if s.Verb == plan.Read {
		return obs, nil
	}
	ctx, cancel := context.WithTimeout(m.ctx, patience)
	defer cancel()
	return obs, m.cluster.Settle(ctx)
}

func (m *Machine) apply(s plan.Step) (plan.Observation, error) {
	none := plan.Observation{}
	switch s.Verb {
	case plan.Read, plan.Put, plan.Delete, plan.Txn, plan.Compact, plan.Grant, plan.Revoke, plan.Keepalive:
		return m.call(s)
	case plan.Expire:
		return m.expire(s.Lease)
	case plan.Register, plan.Deregister, plan.Crash, plan.Restart, plan.Replace, plan.Resolve, plan.List, plan.Call:
		return m.micro(s)
	case plan.Release, plan.Fail:
		h := m.held[s.Name]
		if h == nil {
			return none, nil
		}
		delete(m.held, s.Name)
		return m.letGo(h, s.Verb == plan.Release)
	case plan.Flood:
		return m.flood(s)
	case plan.Permit, plan.Forbid:
		return none, m.permit(s.Target, s.Verb == plan.Permit)
	case plan.ExpireToken:
		return none, m.expireToken(s.Target)
	case plan.Weights, plan.Drain, plan.Reconnect:
		return none, m.balance(s)
	}
	return none, m.fault(s)
}

// letGo lets a held call go on, or loses it, and waits for what comes of it.
func (m *Machine) letGo(h *holding, on bool) (plan.Observation, error) {
	if !on {
		h.gate.Lose()
	} else {
		if h.quorum && m.cut[m.asks[number(h.proxy)]] || m.unlinked(h.proxy) {
			stop := time.AfterFunc(m.moment(), h.cancel)
			defer stop.Stop()
			defer m.gaveUp()
		}
		h.gate.Release()
	}
	o := <-h.done
	h.cancel()
	return o.obs, o.err
}

// unlinked says whether a proxy cannot reach the member it asks.
func (m *Machine) unlinked(p string) bool { return m.cut[p+"-"+m.asks[number(p)]] }

// expire ends a lease. etcd's leader looks twice a second for leases whose time is over and has EtcdServer.LeaseRevoke end each of them
// (etcdserver/server.go, revokeExpiredLeases); that call is made here at the plan's word, in the leader and past its API, so that the
// plan and not the clock says when. Leases live for an hour.
func (m *Machine) expire(lease string) (plan.Observation, error) {
	ctx, cancel := context.WithTimeout(m.ctx, patience)
	defer cancel()
	root, c, err := m.cluster.Root(ctx)
	if err != nil {
		return plan.Observation{}, err
	}
	id := m.leaseID(lease)
	if strings.Contains(lease, "/") {
		key, _, err := plan.Bounds(lease)
		if err != nil {
			return plan.Observation{}, err
		}
		r, err := c.Get(root, key)
		if err != nil {
			return plan.Observation{}, err
		}
		if len(r.Kvs) == 0 || r.Kvs[0].Lease == 0 {
			return plan.Observation{Err: plan.ErrNoLease}, nil
		}
		id = r.Kvs[0].Lease
	}
	w := history.Write{Began: m.history.Now(), Op: "revoke", Lease: id}
	r, err := c.Revoke(root, clientv3.LeaseID(id))
	if err != nil {
		return m.failed(err)
	}
	w.Revision = r.Header.Revision
	m.history.Add(history.Event{Who: "bench", Fault: &history.Fault{Kind: history.Expire, Op: history.Fire, Target: lease}})
	return plan.Observation{Revision: r.Header.Revision - m.base}, nil
}

func (m *Machine) leaseID(lease string) int64 {
	if strings.Contains(lease, "/") {
		return 0
	}
	return m.leases + int64(number(lease)) + 1
}

// failed is an error in a plan's words; what has none is the machine's own trouble.
func (m *Machine) failed(err error) (plan.Observation, error) {
	text := rpctypes.ErrorDesc(err)
	for known, word := range map[error]string{
		rpctypes.ErrGRPCCompacted: plan.ErrCompacted, rpctypes.ErrGRPCFutureRev: plan.ErrFuture,
		rpctypes.ErrGRPCPermissionDenied: plan.ErrDenied, rpctypes.ErrGRPCLeaseNotFound: plan.ErrNoLease,
		rpctypes.ErrGRPCLeaseExist: plan.ErrLeaseExists, rpctypes.ErrGRPCDuplicateKey: plan.ErrDuplicate,
		rpctypes.ErrGRPCTimeout: plan.ErrUnavailable, rpctypes.ErrGRPCNoLeader: plan.ErrUnavailable, // proxies pass them on without their code
	} {
		if strings.Contains(text, status.Convert(known).Message()) {
			return plan.Observation{Err: word}, nil
		}
	}
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled:
		if m.ctx.Err() == nil {
			return plan.Observation{Err: plan.ErrUnavailable}, nil
		}
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		if m.ctx.Err() == nil {
			return plan.Observation{Err: plan.ErrUnavailable}, nil
		}
	}
	return plan.Observation{}, err
}

// linear says whether the topology has this client ask linearizably whatever it asks.
func (m *Machine) linear() bool { return m.lab.cfg.Topology.Mode == registry.Linearizable }
