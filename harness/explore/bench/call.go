package bench

import (
	"context"
	"fmt"
	"slices"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"ghostroute/harness"
	"ghostroute/harness/explore/plan"
	"ghostroute/harness/history"
	"ghostroute/harness/proxy"
)

// ago is a revision that a plan counts back to, as etcd counts.
func (m *Machine) ago(back int) int64 {
	newest := m.base + 1
	for _, x := range m.cluster.Members {
		newest = max(newest, x.Applied())
	}
	return max(newest-int64(back), m.base+1)
}

// ask makes a call and says what came of it.
type ask func(ctx context.Context) (plan.Observation, error)

// call makes one call through a proxy, the client's VIP or on a member, and waits until it is answered or held.
func (m *Machine) call(s plan.Step) (plan.Observation, error) {
	none := plan.Observation{}
	via := m.enters(s.Via)
	at := via // who answers
	if via == plan.VIP {
		var err error
		if at, err = m.place(s.Who); err != nil {
			return none, err
		}
		if at == "" || m.cut[s.Who+"-vip"] {
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
	ctx, cancel := m.bound(s.Who, at)
	quorum = quorum || !m.lab.cfg.Stock() // who knows what a variant makes of a read
	member := at
	if at[0] == 'p' {
		member = m.asks[number(at)]
	}
	if at[0] == 'p' && s.Verb == plan.Keepalive && m.unlinked(at) {
		cancel()
		ctx, cancel = m.bound(s.Who, at, m.moment())
		defer m.gaveUp()
	}
	if quorum && m.cut[member] {
		defer m.gaveUp()
		switch s.Hold {
		case plan.NotHeld:
			cancel()
			ctx, cancel = m.bound(s.Who, at, m.moment())
		case plan.AtAnswer: // an answer there may be, that etcd refuses it; what never comes is not held on its way
			stop := time.AfterFunc(m.moment(), cancel)
			defer stop.Stop()
		}
	}
	if at[0] == 'p' && m.lab.cfg.Topology.Variant.Name == proxy.L4().Name { // it has no calls to hold, only bytes
		s.Hold = plan.NotHeld
		cancel()
		ctx, cancel = m.bound(s.Who, at, 10*m.moment()) // one that lost its member looks for it again after minutes
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
	point := proxy.AfterMember
	if s.Hold == plan.AtRequest || unlinked {
		point = proxy.BeforeMember
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

// prepare makes the request; what it returns makes the call. Revisions are resolved now. quorum says that only a member with a leader
// can answer.
func (m *Machine) prepare(s plan.Step, via, at string) (f ask, quorum bool, err error) {
	who := s.Who
	if who == "" {
		who = harness.Root
	}
	d, err := m.doorOf(who, via)
	if err != nil {
		return nil, false, err
	}
	began := m.history.Now()
	note := func(op string, key, end []byte, rev *int64, deleted int64, err error) {
		w := &history.Write{Began: began, Via: at, Op: op, Key: string(key), End: string(end), Deleted: deleted}
		if err != nil {
			w.Err = err.Error()
		} else {
			w.Revision = *rev
		}
		m.history.Add(history.Event{Kind: history.KindWrite, Who: who, Write: w})
	}
	var md metadata.MD
	header := grpc.Header(&md)
	switch s.Verb {
	case plan.Read:
		if m.linear() {
			s.Linearizable = true
		}
		r, err := m.wire.Range(plan.Op{Keys: s.Keys, Shape: s.Shape})
		return func(ctx context.Context) (plan.Observation, error) {
			resp, err := d.kv.Range(ctx, r, header)
			if at[0] == 'm' {
				m.saw(who, at, began, r, resp, err)
			}
			if err != nil {
				return m.failed(err)
			}
			return m.wire.Answered(resp.Header, m.wire.Answer(at, source(at, md), r, resp)), nil
		}, s.Linearizable, err
	case plan.Put:
		r := m.wire.Put(plan.Op{Keys: s.Keys, Lease: s.Lease}, m.step)
		return func(ctx context.Context) (plan.Observation, error) {
			resp, err := d.kv.Put(ctx, r)
			note("put", r.Key, nil, revision(resp), 0, err)
			if err != nil {
				return m.failed(err)
			}
			return m.wire.Answered(resp.Header), nil
		}, true, nil
	case plan.Delete:
		r, err := m.wire.Delete(s.Keys)
		return func(ctx context.Context) (plan.Observation, error) {
			resp, err := d.kv.DeleteRange(ctx, r)
			note("delete", r.Key, r.RangeEnd, revision(resp), resp.GetDeleted(), err)
			if err != nil {
				return m.failed(err)
			}
			return m.wire.Answered(resp.Header), nil
		}, true, err
	case plan.Txn:
		b := s.Txn
		if m.linear() {
			b = linearizable(b)
		}
		r, err := m.wire.Txn(b, m.step)
		only, local := reads(b)
		return func(ctx context.Context) (plan.Observation, error) {
			resp, err := d.kv.Txn(ctx, r)
			if puts, deleted := done(resp); !only && (err != nil || puts+deleted > 0) {
				key, end := written(b)
				note("txn", []byte(key), []byte(end), revision(resp), deleted, err)
			}
			if err != nil {
				return m.failed(err)
			}
			if only {
				m.sawAll(who, at, began, r, resp)
			}
			return m.wire.Answered(resp.Header, m.wire.TxnAnswers(at, source(at, nil), r, resp)...), nil
		}, !local, err
	case plan.Compact:
		r := &pb.CompactionRequest{Revision: m.wire.Ago(s.Back)}
		return func(ctx context.Context) (plan.Observation, error) {
			resp, err := d.kv.Compact(ctx, r)
			if err != nil {
				return m.failed(err)
			}
			return m.wire.Answered(resp.Header), nil
		}, true, nil
	case plan.Grant:
		r := &pb.LeaseGrantRequest{ID: m.leaseID(s.Lease), TTL: 3600}
		return func(ctx context.Context) (plan.Observation, error) {
			resp, err := d.lease.LeaseGrant(ctx, r)
			if err != nil {
				return m.failed(err)
			}
			return m.wire.Answered(resp.Header), nil
		}, true, nil
	case plan.Revoke:
		r := &pb.LeaseRevokeRequest{ID: m.leaseID(s.Lease)}
		return func(ctx context.Context) (plan.Observation, error) {
			resp, err := d.lease.LeaseRevoke(ctx, r)
			note("revoke", nil, nil, revision(resp), 0, err)
			if err != nil {
				return m.failed(err)
			}
			return m.wire.Answered(resp.Header), nil
		}, true, nil
	case plan.Keepalive:
		return func(ctx context.Context) (plan.Observation, error) { return m.keepAlive(ctx, d, m.leaseID(s.Lease)) }, true, nil
	}
	return nil, false, fmt.Errorf("%s is no call", s.Verb)
}

// keepAlive keeps a lease once.
func (m *Machine) keepAlive(ctx context.Context, d *door, id int64) (plan.Observation, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := d.lease.LeaseKeepAlive(ctx)
	if err != nil {
		return m.failed(err)
	}
	if err := stream.Send(&pb.LeaseKeepAliveRequest{ID: id}); err != nil {
		return m.failed(err)
	}
	resp, err := stream.Recv()
	if err != nil {
		return m.failed(err)
	}
	if resp.TTL <= 0 {
		return plan.Observation{Err: plan.ErrNoLease}, nil
	}
	return m.wire.Answered(resp.Header), nil
}

type headed interface{ GetHeader() *pb.ResponseHeader }

func revision(r headed) *int64 {
	n := r.GetHeader().GetRevision()
	return &n
}

// source is whence an answer came, by its header.
func source(at string, md metadata.MD) history.Source {
	if at[0] == 'm' {
		return history.Member
	}
	if s := md.Get(proxy.HeaderSource); len(s) > 0 {
		return history.Source(s[0])
	}
	return history.Miss // a transaction's: it is never answered from the cache
}

// saw notes an answer that no proxy gave or noted.
func (m *Machine) saw(who, at string, began time.Duration, r *pb.RangeRequest, resp *pb.RangeResponse, err error) {
	e := &history.Range{Began: began, Client: who, Key: string(r.Key), End: string(r.RangeEnd), Shape: proxy.Shape(r),
		Serializable: r.Serializable, Source: source(at, nil), Revision: resp.GetHeader().GetRevision(), Count: resp.GetCount(), Keys: []string{}}
	for _, kv := range resp.GetKvs() {
		e.Keys, e.Mods = append(e.Keys, string(kv.Key)), append(e.Mods, kv.ModRevision)
	}
	if err != nil {
		e.Err = err.Error()
	}
	m.history.Add(history.Event{Kind: history.KindRange, Who: at, Range: e})
}

// sawAll notes what the reads in a transaction that writes nothing were answered. Where it writes, they are of before or after it: no
// revision says which.
func (m *Machine) sawAll(who, at string, began time.Duration, r *pb.TxnRequest, resp *pb.TxnResponse) {
	reqs := r.Failure
	if resp.Succeeded {
		reqs = r.Success
	}
	for i, x := range resp.Responses {
		rr := x.GetResponseRange()
		if rr == nil {
			return
		}
		if rr.Header == nil {
			rr.Header = resp.Header
		}
		m.saw(who, at, began, reqs[i].GetRequestRange(), rr, nil)
	}
}

// done is how many keys a transaction put and deleted.
func done(resp *pb.TxnResponse) (puts, deleted int64) {
	for _, x := range resp.GetResponses() {
		if x.GetResponsePut() != nil {
			puts++
		}
		deleted += x.GetResponseDeleteRange().GetDeleted()
		p, d := done(x.GetResponseTxn())
		puts, deleted = puts+p, deleted+d
	}
	return puts, deleted
}

// reads says whether a transaction does nothing else, and whether serializably.
func reads(b *plan.Branches) (only, local bool) {
	only, local = true, true
	for _, o := range slices.Concat(b.Then, b.Else) {
		if o.Verb != plan.Read {
			return false, false
		}
		local = local && !o.Linearizable
	}
	return only, local
}

func linearizable(b *plan.Branches) *plan.Branches {
	c := &plan.Branches{If: b.If, Then: slices.Clone(b.Then), Else: slices.Clone(b.Else)}
	for _, ops := range [][]plan.Op{c.Then, c.Else} {
		for i := range ops {
			ops[i].Linearizable = true
			if ops[i].Txn != nil {
				ops[i].Txn = linearizable(ops[i].Txn)
			}
		}
	}
	return c
}

// written is the one range that a transaction may write to, every key where it may write to several.
func written(b *plan.Branches) (key, end string) {
	var all []string
	var walk func(*plan.Branches)
	walk = func(b *plan.Branches) {
		for _, o := range slices.Concat(b.Then, b.Else) {
			if o.Txn != nil {
				walk(o.Txn)
			} else if o.Verb != plan.Read && !slices.Contains(all, o.Keys) {
				all = append(all, o.Keys)
			}
		}
	}
	walk(b)
	if len(all) == 1 {
		key, end, _ = plan.Bounds(all[0]) // it was parsed before it was asked
		return key, end
	}
	return "\x00", "\x00"
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
		ctx, cancel := m.bound(s.Who, via, 100*time.Millisecond) // a proxy that is cut off is passed over
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
	d, err := m.doorOf(s.Who, via)
	if err != nil {
		return plan.Observation{}, err
	}
	ctx, cancel := m.bound(s.Who, via)
	defer cancel()
	for n := range 2049 {
		if _, err := d.kv.Range(ctx, &pb.RangeRequest{Key: fmt.Appendf(nil, "flood/%d/%d", m.step, n), Serializable: true}); err != nil {
			return m.failed(err)
		}
	}
	return plan.Observation{}, nil
}
