package lab

import (
	"context"
	"fmt"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/metadata"

	"ghostroute/harness/explore/plan"
	"ghostroute/harness/history"
	"ghostroute/harness/proxy"
)

// way is where a call goes, and what can come of it.
type way struct {
	client string
	via    string       // the endpoint that is dialled: "p1", "m1" or "vip"
	at     string       // the proxy or member that answers; "" where there is no connection to ask through
	proxy  *proxy.Proxy // nil where a member is asked directly
	member string       // that is asked in the end
}

// way resolves an endpoint. A client that has not come to its VIP yet comes to it now.
func (m *Machine) way(client, endpoint string) (w way, err error) {
	w = way{client: client, via: m.enters(endpoint)}
	if w.at = w.via; w.via == plan.VIP {
		if w.at, err = m.place(client); err != nil || w.at == "" || m.cut[client+"-vip"] {
			w.at = ""
			return w, err
		}
	}
	if w.member = w.at; w.at[0] == 'p' {
		w.proxy, w.member = m.stage.Proxy(w.at), m.asks[plan.Number(w.at)]
	}
	return w, nil
}

// enters is the endpoint that a plan's leads to under the lab's topology: with every client at one proxy p1, with none
// a member.
func (m *Machine) enters(endpoint string) string {
	switch {
	case m.lab.cfg.Topology.Direct && endpoint == plan.VIP:
		return "m1"
	case m.lab.cfg.Topology.Direct && endpoint[0] == 'p':
		return plan.Name('m', plan.Number(endpoint)%m.plan.Members)
	case m.lab.cfg.OneProxy && endpoint[0] != 'm':
		return "p1"
	}
	return endpoint
}

// unlinked says whether the way's proxy cannot reach the member that it asks now.
func (m *Machine) unlinked(w way) bool { return w.proxy != nil && m.unlinkedFrom(w.at) }

func (m *Machine) unlinkedFrom(proxy string) bool { return m.cut[proxy+"-"+m.asks[plan.Number(proxy)]] }

// alone says whether the member at the way's end is cut off from its peers: what needs a quorum is never answered
// there.
func (m *Machine) alone(w way) bool {
	if w.proxy != nil {
		return m.cut[m.asks[plan.Number(w.at)]]
	}
	return m.cut[w.member]
}

// holding is a call that is held.
type holding struct {
	way
	request
	gate   *proxy.Gate
	cancel context.CancelFunc
	done   chan outcome
}

type outcome struct {
	obs plan.Observation
	err error
}

// call makes one call and waits until it is answered, held or given up.
func (m *Machine) call(_ context.Context, s plan.Step) (plan.Observation, error) {
	w, err := m.way(s.Client, s.Via)
	switch {
	case err != nil:
		return plan.Observation{}, err
	case w.at == "":
		return plan.Observation{Err: plan.ErrUnavailable}, nil
	case s.Hold != plan.NotHeld && m.held[s.Name] != nil:
		return plan.Observation{Err: plan.ErrSenseless}, nil
	}
	r, err := m.prepare(s, w)
	if err != nil {
		return plan.Observation{}, err
	}
	if !r.quorum && w.proxy != nil && !m.lab.cfg.Stock() { // nothing says what a variant makes of a read
		r.quorum, r.unsure = true, true
	}
	switch {
	case m.relayed(w): // it has no calls to hold, only bytes, and looks for a member that it lost after minutes
		defer m.gaveUp()
		return m.ask(w, r, 10*m.moment())
	case w.proxy != nil && rpc(s.Verb) != "" && (s.Hold != plan.NotHeld || m.unlinked(w) && !m.lab.cfg.Processes()):
		return m.gated(s, w, r)
	case r.quorum && m.alone(w) || m.unlinked(w):
		defer m.gaveUp()
		return m.ask(w, r, m.within(r))
	}
	obs, err := m.ask(w, r, 0)
	if err == nil && obs.Err == "" && s.Verb == plan.Delete && m.lab.cfg.Topology.Scatter && w.proxy != nil {
		err = m.scatter(s)
	}
	return obs, err
}

// relayed says whether the way leads through etcd's L4 gateway, or what else passes on bytes.
func (m *Machine) relayed(w way) bool { return w.proxy != nil && w.proxy.Variant().Relays }

// ask makes a call that is not held; 0 gives it as long as it takes.
func (m *Machine) ask(w way, r request, within time.Duration) (plan.Observation, error) {
	ctx, cancel := m.bound(w, within)
	defer cancel()
	return r.ask(ctx)
}

// within is how long a call is waited for that may never be answered. Where no model says whether it should have been,
// and the plan is not run again, it is given longer.
func (m *Machine) within(r request) time.Duration {
	if r.unsure {
		return max(m.moment(), patiently)
	}
	return m.moment()
}

// gated makes a call through a proxy past a gate, where it is held, or given up where it would never be answered: the
// cache could have. The gate of a process is behind its link, so what that never answers does not come there.
func (m *Machine) gated(s plan.Step, w way, r request) (plan.Observation, error) {
	dead := m.unlinked(w) && s.Hold != plan.AtRequest
	point := history.AfterMember
	if dead || s.Hold == plan.AtRequest {
		point = history.BeforeMember
	}
	gate := w.proxy.Hold(proxy.Hold{RPC: rpc(s.Verb), Point: point})
	h := &holding{way: w, request: r, gate: gate, done: make(chan outcome, 1)}
	var ctx context.Context
	ctx, h.cancel = m.bound(w, 0)
	if r.quorum && m.alone(w) && s.Hold == plan.AtAnswer { // a refusal may come and be held; what never comes is not
		defer time.AfterFunc(m.within(r), h.cancel).Stop()
		defer m.gaveUp()
	}
	answered, end := context.WithCancel(m.ctx)
	go func() { // ends with h.done, which every path below or a later step waits for
		obs, err := r.ask(ctx)
		h.done <- outcome{obs, err}
		end()
	}()
	switch caught := h.gate.Caught(answered) == nil; {
	case caught && dead:
		return m.goOn(h)
	case caught:
		m.held[s.Name] = h
		return plan.Observation{Err: plan.ErrHeld}, nil
	}
	h.gate.Release() // it never came there: a hit, or refused
	o := <-h.done
	h.cancel()
	return o.obs, o.err
}

// release lets a held call go on, or loses it.
func (m *Machine) release(_ context.Context, s plan.Step) (plan.Observation, error) {
	h := m.held[s.Name]
	if h == nil {
		return plan.Observation{}, nil
	}
	delete(m.held, s.Name)
	if s.Verb == plan.Release {
		return m.goOn(h)
	}
	return h.lose()
}

func (h *holding) lose() (plan.Observation, error) {
	h.gate.Lose()
	o := <-h.done
	h.cancel()
	return o.obs, o.err
}

// goOn lets a held call go on and waits for what comes of it.
func (m *Machine) goOn(h *holding) (plan.Observation, error) {
	if h.quorum && m.alone(h.way) || m.unlinked(h.way) {
		defer time.AfterFunc(m.within(h.request), h.cancel).Stop()
		defer m.gaveUp()
	}
	h.gate.Release()
	o := <-h.done
	h.cancel()
	return o.obs, o.err
}

// rpc is what a gate knows a verb's RPC by, "" for one that it cannot hold.
func rpc(v plan.Verb) string {
	return map[plan.Verb]string{plan.Read: "Range", plan.Put: "Put", plan.Delete: "DeleteRange", plan.Txn: "Txn",
		plan.Compact: "Compact", plan.Grant: "LeaseGrant", plan.Revoke: "LeaseRevoke"}[v]
}

// bound is a context for a call: with its client's token, and a deadline unless within is 0.
func (m *Machine) bound(w way, within time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(m.ctx)
	if within > 0 {
		cancel()
		ctx, cancel = context.WithTimeout(m.ctx, within)
	}
	if token := m.tokenFor(w); token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, rpctypes.TokenFieldNameGRPC, token)
	}
	return ctx, cancel
}

// scatter deletes the same through every proxy, as the fix of that name does.
func (m *Machine) scatter(s plan.Step) error {
	key, end, err := plan.Bounds(s.Keys)
	if err != nil {
		return err
	}
	var opts []clientv3.OpOption
	if end != "" {
		opts = append(opts, clientv3.WithRange(end))
	}
	return m.stage.Scatter(m.ctx, key, opts...)
}

// flood reads more other keys than the cache holds: cache.DefaultMaxEntries, and one.
func (m *Machine) flood(_ context.Context, s plan.Step) (plan.Observation, error) {
	w, err := m.way(s.Client, s.Via)
	if err != nil {
		return plan.Observation{}, err
	}
	c, err := m.connOf(s.Client, w.via)
	if err != nil {
		return plan.Observation{}, err
	}
	ctx, cancel := m.bound(w, 0)
	defer cancel()
	for n := range 2049 {
		r := &pb.RangeRequest{Key: fmt.Appendf(nil, "flood/%d/%d", m.step, n), Serializable: true}
		if _, err := c.kv.Range(ctx, r); err != nil {
			return m.failed(err)
		}
	}
	return plan.Observation{}, nil
}
