package lab

import (
	"context"
	"maps"
	"strconv"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness/explore/plan"
	"ghostroute/harness/history"
)

// act takes a step.
type act func(*Machine, context.Context, plan.Step) (plan.Observation, error)

// acts are how each verb is taken. The test holds them to the plan's table of verbs.
var acts = map[plan.Verb]act{
	plan.Read: (*Machine).call, plan.Put: (*Machine).call, plan.Delete: (*Machine).call, plan.Txn: (*Machine).call,
	plan.Grant: (*Machine).call, plan.Revoke: (*Machine).call, plan.Keepalive: (*Machine).call,
	plan.Compact: (*Machine).call,
	plan.Expire:  (*Machine).expire, plan.Flood: (*Machine).flood,

	plan.Register: (*Machine).register, plan.Deregister: (*Machine).deregister, plan.Crash: unseen((*Machine).crashes),
	plan.Restart: (*Machine).restart, plan.Replace: (*Machine).restart,
	plan.Resolve: (*Machine).resolve, plan.List: (*Machine).resolve, plan.Call: (*Machine).resolve,

	plan.Release: (*Machine).release, plan.Fail: (*Machine).release,

	plan.Cut: unseen((*Machine).link), plan.Blackhole: unseen((*Machine).link), plan.Delay: unseen((*Machine).link),
	plan.Mend: unseen((*Machine).link), plan.Lead: unseen((*Machine).moveLeader),
	plan.Reboot: unseen((*Machine).reboot), plan.Narrow: unseen((*Machine).narrow),

	plan.Weights: unseen((*Machine).setWeights), plan.Drain: unseen((*Machine).drain),
	plan.Reconnect: unseen((*Machine).reconnect),

	plan.Permit: unseen((*Machine).permit), plan.Forbid: unseen((*Machine).permit),
	plan.ExpireToken: unseen((*Machine).expireToken),

	plan.Watch: unseen((*Machine).watch), plan.Unwatch: unseen((*Machine).unwatch), plan.Follow: (*Machine).follow,
}

// unseen is an act of which nothing is observed. Before it, calls that were given up are over.
func unseen(act func(*Machine, context.Context, plan.Step) error) act {
	return func(m *Machine, ctx context.Context, s plan.Step) (plan.Observation, error) {
		if err := m.quiet(ctx); err != nil {
			return plan.Observation{}, err
		}
		return plan.Observation{}, act(m, ctx, s)
	}
}

// link breaks or mends a link, or cuts a member off from its peers and mends that.
func (m *Machine) link(ctx context.Context, s plan.Step) error {
	from, to := plan.Ends(s.Target)
	switch {
	case to == "" && s.Verb == plan.Cut:
		return m.cutOff(ctx, from)
	case to == "" && s.Verb == plan.Mend && m.cut[from]:
		return m.rejoin(ctx, from)
	}
	was := m.cut[s.Target]
	m.cut[s.Target] = s.Verb == plan.Cut || s.Verb == plan.Blackhole
	asked := from[0] == 'p' && plan.Number(from) < len(m.asks) && m.asks[plan.Number(from)] == to
	if asked && was && s.Verb == plan.Mend {
		// Whatever a black hole swallowed, the proxy is to ask over a new connection: it must have noticed that the old
		// one is gone.
		p := m.stage.Proxy(from)
		p.Link(to).Drop()
		if err := p.Reach(ctx, false); err != nil {
			return err
		}
	}
	if asked && !was && s.Verb == plan.Blackhole { // what it swallows is an established connection
		if err := m.stage.Proxy(from).Reach(ctx, true); err != nil {
			return err
		}
	}
	if err := m.breakOrMend(ctx, s); err != nil {
		return err
	}
	if asked && was && s.Verb == plan.Mend && m.lab.cfg.Processes() {
		// A process has dialled into the black hole, and would wait for a greeting for gRPC's twenty seconds.
		m.stage.Proxy(from).Link(to).Drop()
	}
	switch {
	case asked && (s.Verb == plan.Cut || was && s.Verb == plan.Mend):
		return m.reach(ctx, from)
	case from[0] == 'g' && s.Verb == plan.Cut:
		return m.part(ctx, from)
	}
	return nil
}

// breakOrMend does to the stage's links what a step does to a plan's: a proxy's to a member, a client's to its VIP, or
// with a member's name those of all proxies to it. A plan may name a link over which it has nothing to ask: then there
// is none.
func (m *Machine) breakOrMend(ctx context.Context, s plan.Step) error {
	from, to := plan.Ends(s.Target)
	if from[0] == 'g' {
		if m.stage.Balancer == nil {
			return nil
		}
		if _, err := m.stage.Addresses(from); err != nil { // the client has its VIP from now on
			return err
		}
		return m.act(ctx, s, from)
	}
	for _, p := range m.stage.Proxies() {
		switch {
		case to == "" && p.Link(from) != nil && !m.cut[p.Name()+"-"+from]:
			if err := m.act(ctx, s, p.Name(), from); err != nil {
				return err
			}
		case from == p.Name() && p.Link(to) != nil:
			return m.act(ctx, s, from, to)
		}
	}
	return nil
}

func (m *Machine) act(ctx context.Context, s plan.Step, node string, to ...string) error {
	switch s.Verb {
	case plan.Cut:
		return m.stage.Cut(ctx, node, to...)
	case plan.Blackhole:
		return m.stage.Blackhole(ctx, node, to...)
	case plan.Delay:
		ms, err := strconv.Atoi(s.Other)
		if err != nil {
			return err
		}
		by := time.Duration(ms) * time.Millisecond
		m.delay = max(m.delay, by)
		return m.stage.Delay(ctx, by, node, to...)
	}
	return m.stage.Mend(ctx, node, to...)
}

// cutOff cuts a member off from its peers. The leader is the plan's business: a member that leads by chance hands over
// first, one that was given the lead is cut off with it and the others elect.
func (m *Machine) cutOff(ctx context.Context, member string) error {
	if m.cut[member] {
		return nil
	}
	m.behind[member] = maps.Clone(m.tokens)
	cut := func() error { return m.stage.CutOff(ctx, member) }
	if m.lead == member {
		m.lead, cut = "", m.stage.Cluster.Member(member).Cut
	}
	if err := m.witnessed(ctx, member, cut); err != nil {
		return err
	}
	m.cut[member] = true
	_, err := m.stage.Cluster.Leader(ctx)
	return err
}

func (m *Machine) rejoin(ctx context.Context, member string) error {
	delete(m.cut, member)
	delete(m.behind, member)
	if err := m.stage.Rejoin(ctx, member); err != nil {
		return err
	}
	_, err := m.stage.Cluster.Leader(ctx)
	return err
}

func (m *Machine) moveLeader(ctx context.Context, s plan.Step) error {
	m.lead = s.Target
	return m.stage.Cluster.MoveLeader(ctx, m.stage.Cluster.Member(s.Target))
}

// reach waits until a proxy has the member that it asks, or has noticed that it cannot.
func (m *Machine) reach(ctx context.Context, proxy string) error {
	return m.stage.Proxy(proxy).Reach(ctx, !m.unlinkedFrom(proxy))
}

// narrow has a proxy ask one member from now on.
func (m *Machine) narrow(ctx context.Context, s plan.Step) error {
	i := plan.Number(s.Target)
	if i >= len(m.asks) || m.asks[i] == s.Other || m.lab.cfg.Topology.Variant.Relays {
		return nil
	}
	if err := m.stage.Narrow(ctx, s.Target, s.Other); err != nil {
		return err
	}
	m.asks[i] = s.Other
	return m.reach(ctx, s.Target)
}

func (m *Machine) reboot(ctx context.Context, s plan.Step) error {
	if s.Target[0] == 'm' {
		return m.rebootMember(ctx, s.Target)
	}
	if plan.Number(s.Target) < len(m.asks) {
		return m.rebootProxy(ctx, s.Target)
	}
	return nil
}

// rebootProxy stops a proxy and starts it. What it holds is lost, its cache is gone, its clients dial again.
func (m *Machine) rebootProxy(ctx context.Context, target string) error {
	for id, h := range m.held {
		if h.at == target {
			delete(m.held, id)
			_, _ = h.lose() // an error like any other of a call that is lost
		}
	}
	pinned := m.pinnedAt(target)
	m.hangUp("", target)
	for _, client := range pinned {
		if err := m.part(ctx, client); err != nil {
			return err
		}
	}
	if err := m.stage.Proxy(target).Restart(ctx); err != nil {
		return err
	}
	return m.reach(ctx, target)
}

// rebootMember stops a member and starts it with its data. What asked it dials again.
func (m *Machine) rebootMember(ctx context.Context, target string) error {
	x := m.stage.Cluster.Member(target)
	m.hangUp("", target)
	for _, p := range m.stage.Proxies() {
		// A connection that a black hole caught in its handshake would keep the member's server from stopping for two
		// minutes: it waits for the client's first words (grpc/server.go, stop and newHTTP2Transport).
		if l := p.Link(target); l != nil && m.cut[p.Name()+"-"+target] {
			l.Drop()
		}
	}
	if err := x.Stop(ctx); err != nil {
		return err
	}
	if m.lead == target {
		m.lead = ""
	}
	if err := x.Restart(ctx); err != nil {
		return err
	}
	if _, err := m.stage.Cluster.Leader(ctx); err != nil {
		return err
	}
	for user := range m.tokens { // a member keeps tokens in memory, and has lost what it had
		if err := m.fetchToken(ctx, user); err != nil {
			return err
		}
	}
	for i, p := range m.stage.Proxies() {
		if m.asks[i] == target && !m.unlinkedFrom(p.Name()) {
			if err := p.Reach(ctx, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// expire ends a lease. etcd's leader looks twice a second for leases whose time is over and has EtcdServer.LeaseRevoke
// end each of them (etcdserver/server.go, revokeExpiredLeases); that call is made here at the plan's word, in the
// leader and past its API, so that the plan and not the clock says when. Leases live for an hour.
func (m *Machine) expire(ctx context.Context, s plan.Step) (plan.Observation, error) {
	none := plan.Observation{}
	lead, err := m.stage.Cluster.Leader(ctx)
	if err != nil {
		return none, err
	}
	root, c, err := m.stage.Cluster.AsRoot(ctx)
	if err != nil {
		return none, err
	}
	// What ends is recorded at the instance whose lease it is, or at the leader, which ends it.
	f := history.Fault{Kind: history.Expire, Op: history.Fire, Target: lead.Name, Detail: "lease " + s.Lease}
	var id int64
	if strings.Contains(s.Lease, "/") {
		key, _, err := plan.Bounds(s.Lease)
		if err != nil {
			return none, err
		}
		r, err := c.Get(root, key)
		if err != nil {
			return none, err
		}
		if len(r.Kvs) == 0 || r.Kvs[0].Lease == 0 {
			return plan.Observation{Err: plan.ErrNoLease}, nil
		}
		id, f.Target = r.Kvs[0].Lease, s.Lease
	} else {
		id = m.leaseID(s.Lease)
	}
	began := m.history.Now()
	r, err := c.Revoke(root, clientv3.LeaseID(id))
	if err != nil {
		return m.failed(err)
	}
	m.history.Add(history.Event{Who: "bench", Fault: &f})
	m.history.Add(history.Event{Who: lead.Name,
		Write: &history.Write{Began: began, Via: lead.Name, Op: "revoke", Lease: id, Revision: r.Header.Revision}})
	return plan.Observation{Revision: r.Header.Revision - m.base}, nil
}
