package model_test

import (
	"context"
	"errors"
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/lease"
	"go.etcd.io/etcd/server/v3/proxy/grpcproxy"
	"google.golang.org/grpc/status"

	"ghostroute/harness/explore/plan"
	"ghostroute/harness/explore/wire"
	"ghostroute/harness/history"
)

// machine takes one plan's steps on a cluster, through proxies of its own. It is used by one goroutine.
type machine struct {
	c        *cluster
	wire     wire.Wire
	plan     plan.Plan
	base     int64 // the cluster's revision before the first step, less one: what a plan counts from
	firstID  int64 // leases are named anew for each machine
	step     int
	proxies  []pb.KVServer
	ups      []*upstream
	unlinked map[string]bool
	held     map[string]*holding
	passed   []int // the steps at which a call passed a cache: see passing
}

// holding is a call that is held, and where its outcome will come out.
type holding struct {
	*call
	proxy int
	done  chan outcome
}

type outcome struct {
	obs plan.Observation
	err error
}

// machine begins p on the cluster: everything that an earlier machine left is wiped, the proxies are new. The cluster
// must have p.Members members, and one machine at a time.
func (c *cluster) machine(p plan.Plan) (*machine, error) {
	if len(c.members) != p.Members {
		return nil, fmt.Errorf("the plan wants %d members, the cluster has %d", p.Members, len(c.members))
	}
	m := &machine{c: c, plan: p, base: c.wipe() - 1, firstID: c.nextLease,
		unlinked: map[string]bool{}, held: map[string]*holding{}, proxies: make([]pb.KVServer, p.Proxies)}
	c.nextLease += 1000
	m.wire = wire.Wire{Base: m.base, Ago: m.ago, LeaseID: m.leaseID}
	for i := range p.Proxies {
		m.ups = append(m.ups, &upstream{m: m, member: i % p.Members, proxy: plan.Name('p', i)})
		m.startProxy(i)
	}
	return m, nil
}

func (m *machine) startProxy(i int) {
	client := &clientv3.Client{}
	client.KV = clientv3.NewKVFromKVClient(m.ups[i], nil)
	m.proxies[i], _ = grpcproxy.NewKvProxy(client)
	if m.c.passes != "" {
		m.proxies[i] = &passing{m.proxies[i], m, m.ups[i]}
	}
}

// Cached is what a proxy would answer from its cache to the request that had that answer; nil where it would ask.
func (m *machine) Cached(a plan.Answer) *plan.Answer {
	req, err := m.wire.Again(a)
	if err != nil {
		return nil
	}
	resp, err := m.proxies[plan.Number(a.Via)].Range((&call{peek: true}).context(), req)
	if err != nil {
		return nil
	}
	held := m.wire.Answer(a.Via, history.Hit, req, resp)
	return &held
}

// Close loses whatever is still held.
func (m *machine) Close() error {
	for _, h := range m.held {
		h.release <- false
		<-h.done
	}
	m.held = nil
	return nil
}

// acts are how each verb is taken. Those that are missing need a lab: they are of the classes Registry and Balancer.
var acts = map[plan.Verb]func(*machine, plan.Step) (plan.Observation, error){
	plan.Read: (*machine).rpc, plan.Put: (*machine).rpc, plan.Delete: (*machine).rpc, plan.Txn: (*machine).rpc,
	plan.Compact: (*machine).rpc,
	plan.Grant:   (*machine).lease, plan.Revoke: (*machine).lease, plan.Keepalive: (*machine).lease,
	plan.Expire:  (*machine).lease,
	plan.Release: (*machine).release, plan.Fail: (*machine).release, plan.Flood: (*machine).flood,
	plan.Cut: (*machine).link, plan.Blackhole: (*machine).link, plan.Mend: (*machine).link,
	plan.Narrow: (*machine).narrow, plan.Reboot: (*machine).reboot,
	plan.Permit: (*machine).permit, plan.Forbid: (*machine).permit,
	plan.Lead: nothing, plan.Delay: nothing, plan.ExpireToken: nothing,
}

func nothing(*machine, plan.Step) (plan.Observation, error) { return plan.Observation{}, nil }

// Apply takes the next step.
func (m *machine) Apply(s plan.Step) (plan.Observation, error) {
	m.step++
	if acts[s.Verb] == nil {
		return plan.Observation{}, fmt.Errorf("%s: this verb needs a lab", s.Verb)
	}
	return acts[s.Verb](m, s)
}

func (m *machine) release(s plan.Step) (plan.Observation, error) {
	h := m.held[s.Name]
	if h == nil {
		return plan.Observation{}, nil
	}
	delete(m.held, s.Name)
	h.release <- s.Verb == plan.Release
	o := <-h.done
	return o.obs, o.err
}

func (m *machine) narrow(s plan.Step) (plan.Observation, error) {
	m.ups[plan.Number(s.Target)].member = plan.Number(s.Other)
	return plan.Observation{}, nil
}

func (m *machine) permit(s plan.Step) (plan.Observation, error) {
	_, err := apply(m.c, 0, func(x *member) (any, error) {
		x.forbidden[s.Target] = s.Verb == plan.Forbid
		return nil, nil
	})
	return plan.Observation{}, err
}

func (m *machine) reboot(s plan.Step) (plan.Observation, error) {
	if s.Target[0] != 'p' {
		return plan.Observation{}, nil
	}
	i := plan.Number(s.Target)
	for name, h := range m.held {
		if h.proxy == i {
			h.release <- false
			<-h.done
			delete(m.held, name)
		}
	}
	m.startProxy(i)
	return plan.Observation{}, nil
}

func (m *machine) link(s plan.Step) (plan.Observation, error) {
	cut := s.Verb != plan.Mend
	switch {
	case s.Target[0] == 'm' && cut:
		m.c.cut(plan.Number(s.Target))
	case s.Target[0] == 'm':
		m.c.mend(plan.Number(s.Target))
	case s.Target[0] == 'p':
		m.unlinked[s.Target] = cut
	default:
		return plan.Observation{}, fmt.Errorf("%s: the way to the balancer needs a lab", s)
	}
	return plan.Observation{}, nil
}

// rpc makes one call of the KV service, through a proxy or on a member, and waits until it is answered or held.
func (m *machine) rpc(s plan.Step) (plan.Observation, error) {
	if s.Hold != plan.NotHeld && m.held[s.Name] != nil {
		return plan.Observation{Err: plan.ErrSenseless}, nil
	}
	c := &call{client: s.Client, hold: s.Hold, arrived: make(chan struct{}), release: make(chan bool)}
	ask, err := m.prepare(s)
	if err != nil {
		return plan.Observation{}, err
	}
	if c.hold == plan.NotHeld {
		return ask(c)
	}
	h := &holding{call: c, proxy: plan.Number(s.Via), done: make(chan outcome, 1)}
	go func() {
		obs, err := ask(c)
		h.done <- outcome{obs, err}
	}()
	select {
	case <-c.arrived:
		m.held[s.Name] = h
		return plan.Observation{Err: plan.ErrHeld}, nil
	case o := <-h.done:
		return o.obs, o.err
	}
}

// prepare makes the request; what comes back makes the call. Revisions are resolved now.
func (m *machine) prepare(s plan.Step) (func(*call) (plan.Observation, error), error) {
	server := func() pb.KVServer { // a proxy may have been restarted by then
		if s.Via[0] == 'p' {
			return m.proxies[plan.Number(s.Via)]
		}
		return &memberKV{m: m, i: plan.Number(s.Via)}
	}
	source := func(c *call) history.Source {
		switch {
		case s.Via[0] != 'p':
			return history.Member
		case c.upstream:
			return history.Miss
		}
		return history.Hit
	}
	switch s.Verb {
	case plan.Read:
		r, err := m.wire.Range(plan.Op{Keys: s.Keys, Shape: s.Shape})
		return func(c *call) (plan.Observation, error) {
			resp, err := server().Range(c.context(), r)
			if err != nil {
				return m.failed(err)
			}
			return m.wire.Answered(resp.Header, m.wire.Answer(s.Via, source(c), r, resp)), nil
		}, err
	case plan.Put:
		r := m.wire.Put(plan.Op{Keys: s.Keys, Lease: s.Lease}, m.step)
		return acknowledged(m, func(ctx context.Context) (*pb.PutResponse, error) { return server().Put(ctx, r) }), nil
	case plan.Delete:
		r, err := m.wire.Delete(s.Keys)
		return acknowledged(m, func(ctx context.Context) (*pb.DeleteRangeResponse, error) {
			return server().DeleteRange(ctx, r)
		}), err
	case plan.Txn:
		r, err := m.wire.Txn(s.Txn, m.step)
		return func(c *call) (plan.Observation, error) {
			resp, err := server().Txn(c.context(), r)
			if err != nil {
				return m.failed(err)
			}
			return m.wire.Answered(resp.Header, m.wire.TxnAnswers(s.Via, source(c), r, resp)...), nil
		}, err
	}
	r := &pb.CompactionRequest{Revision: m.ago(s.Back)}
	return acknowledged(m, func(ctx context.Context) (*pb.CompactionResponse, error) {
		return server().Compact(ctx, r)
	}), nil
}

func acknowledged[R interface{ GetHeader() *pb.ResponseHeader }](
	m *machine, ask func(context.Context) (R, error),
) func(*call) (plan.Observation, error) {
	return func(c *call) (plan.Observation, error) {
		resp, err := ask(c.context())
		if err != nil {
			return m.failed(err)
		}
		return m.wire.Answered(resp.GetHeader()), nil
	}
}

// ago is a revision that a plan counts back to, as etcd counts.
func (m *machine) ago(back int) int64 {
	newest := m.base + 1
	for _, x := range m.c.members {
		newest = max(newest, x.kv.Rev())
	}
	return max(newest-int64(back), m.base+1)
}

func (m *machine) leaseID(name string) int64 { return m.firstID + int64(plan.Number(name)) }

func (m *machine) lease(s plan.Step) (plan.Observation, error) {
	i := 0
	if s.Verb != plan.Expire {
		if i = plan.Number(s.Via); s.Via[0] == 'p' {
			up := m.ups[i]
			if i = up.member; m.unlinked[up.link()] {
				return m.failed(rpctypes.ErrGRPCTimeout)
			}
		}
		if err := m.quorum(i); err != nil {
			return m.failed(err)
		}
	} else {
		for m.c.members[i].cut {
			i++
		}
	}
	id := lease.LeaseID(m.leaseID(s.Lease))
	_, err := apply(m.c, i, func(x *member) (any, error) {
		var err error
		switch s.Verb {
		case plan.Grant:
			_, err = x.lessor.Grant(id, 1<<20)
		case plan.Keepalive:
			if x.lessor.Lookup(id) == nil {
				err = lease.ErrLeaseNotFound
			}
		default:
			err = x.lessor.Revoke(id)
		}
		return nil, rpcError(err)
	})
	if err != nil {
		return m.failed(err)
	}
	return plan.Observation{Revision: m.c.members[i].kv.Rev() - m.base}, nil
}

// flood reads more other keys than the cache holds: cache.DefaultMaxEntries, and one.
func (m *machine) flood(s plan.Step) (plan.Observation, error) {
	for n := range 2049 {
		c := &call{client: s.Client}
		r := &pb.RangeRequest{Key: fmt.Appendf(nil, "flood/%d/%d", m.step, n), Serializable: true}
		if _, err := m.proxies[plan.Number(s.Via)].Range(c.context(), r); err != nil {
			return m.failed(err)
		}
	}
	return plan.Observation{}, nil
}

func (m *machine) failed(err error) (plan.Observation, error) {
	for known, word := range wire.Errors() {
		if errors.Is(err, known) || status.Convert(err).Message() == status.Convert(known).Message() {
			return plan.Observation{Err: word}, nil
		}
	}
	return plan.Observation{}, err
}
