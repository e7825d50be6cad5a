package lab

import (
	"context"
	"fmt"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/metadata"

	"ghostroute/harness/explore/plan"
	"ghostroute/harness/history"
	"ghostroute/harness/proxy"
)

// call makes one call through a proxy, the client's VIP or on a member, and waits until it is answered or held.
func (m *Machine) call(s plan.Step) (plan.Observation, error) {
	none := plan.Observation{}
	via := m.enters(s.Via)
	at := via // who answers
	if via == plan.VIP {
		var err error
		if at, err = m.place(s.Client); err != nil {
			return none, err
		}
		if at == "" || m.cut[s.Client+"-vip"] {
			return plan.Observation{Err: plan.ErrUnavailable}, nil // there is no connection to ask through
		}
	}
	if s.Hold != plan.NotHeld && m.held[s.Name] != nil {
		return plan.Observation{Err: plan.ErrSenseless}, nil
	}
	f, quorum, err := m.prepare(s, via, at)
	if err != nil {
		return none, err
	}
	ctx, cancel := m.bound(s.Client, at)
	quorum = quorum || !m.lab.cfg.Stock() // who knows what a variant makes of a read
	member := at
	if at[0] == 'p' {
		member = m.asks[number(at)]
	}
	if at[0] == 'p' && s.Verb == plan.Keepalive && m.unlinked(at) {
		cancel()
		ctx, cancel = m.bound(s.Client, at, m.moment())
		defer m.gaveUp()
	}
	if quorum && m.cut[member] {
		defer m.gaveUp()
		switch s.Hold {
		case plan.NotHeld:
			cancel()
			ctx, cancel = m.bound(s.Client, at, m.moment())
		case plan.AtAnswer: // an answer there may be, that etcd refuses it; what never comes is not held on its way
			stop := time.AfterFunc(m.moment(), cancel)
			defer stop.Stop()
		}
	}
	if at[0] == 'p' && m.lab.cfg.Topology.Variant.Relays { // it has no calls to hold, only bytes
		s.Hold = plan.NotHeld
		cancel()
		ctx, cancel = m.bound(s.Client, at, 10*m.moment()) // one that lost its member looks for it again after minutes
		defer cancel()
		return f(ctx)
	}
	unlinked := at[0] == 'p' && m.unlinked(at) && s.Hold != plan.AtRequest && rpc(s.Verb) != ""
	if (s.Hold == plan.NotHeld || at[0] != 'p') && !unlinked {
		defer cancel()
		obs, err := f(ctx)
		if err == nil && m.lab.cfg.Topology.Scatter && s.Verb == plan.Delete && obs.Err == "" {
			err = m.scatter(s, at)
		}
		return obs, err
	}
	p := m.proxies[number(at)]
	h := &holding{proxy: at, cancel: cancel, quorum: quorum, done: make(chan outcome, 1)}
	point := history.AfterMember
	if s.Hold == plan.AtRequest || unlinked {
		point = history.BeforeMember
	}
	h.gate = p.Hold(proxy.Hold{RPC: rpc(s.Verb), Point: point})
	over, end := context.WithCancel(m.ctx)
	go func() {
		obs, err := f(ctx)
		h.done <- outcome{obs, err}
		end()
	}()
	if caught := h.gate.Caught(over) == nil; caught && unlinked {
		return m.letGo(h, true) // the cache could not answer it, and nobody else will
	} else if caught {
		m.held[s.Name] = h
		return plan.Observation{Err: plan.ErrHeld}, nil
	}
	h.gate.Release() // it never came there: a hit, or refused
	o := <-h.done
	cancel()
	return o.obs, o.err
}

func rpc(v plan.Verb) string {
	return map[plan.Verb]string{plan.Read: "Range", plan.Put: "Put", plan.Delete: "DeleteRange", plan.Txn: "Txn", plan.Compact: "Compact",
		plan.Grant: "LeaseGrant", plan.Revoke: "LeaseRevoke"}[v]
}

// bound is a context for a call by that client: with its token, and a deadline.
func (m *Machine) bound(who, at string, within ...time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := m.ctx, context.CancelFunc(nil)
	if len(within) > 0 {
		ctx, cancel = context.WithTimeout(ctx, within[0])
	} else {
		ctx, cancel = context.WithCancel(ctx)
	}
	if token := m.tokenFor(who, at); token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, rpctypes.TokenFieldNameGRPC, token)
	}
	return ctx, cancel
}

// scatter deletes through every other proxy too.
func (m *Machine) scatter(s plan.Step, at string) error {
	for i := range m.proxies {
		via := name('p', i)
		if via == at {
			continue
		}
		f, _, err := m.prepare(s, via, via)
		if err != nil {
			return err
		}
		ctx, cancel := m.bound(s.Client, via, 100*time.Millisecond) // a proxy that is cut off is passed over
		_, err = f(ctx)
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}

// flood reads more other keys than the cache holds: cache.DefaultMaxEntries, and one.
func (m *Machine) flood(s plan.Step) (plan.Observation, error) {
	via := m.enters(s.Via)
	d, err := m.doorOf(s.Client, via)
	if err != nil {
		return plan.Observation{}, err
	}
	ctx, cancel := m.bound(s.Client, via)
	defer cancel()
	for n := range 2049 {
		if _, err := d.kv.Range(ctx, &pb.RangeRequest{Key: fmt.Appendf(nil, "flood/%d/%d", m.step, n), Serializable: true}); err != nil {
			return m.failed(err)
		}
	}
	return plan.Observation{}, nil
}
