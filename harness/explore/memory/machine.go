package memory

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

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

// ErrUnsupported is wrapped by Apply's error for a step that only a bench can take.
var ErrUnsupported = errors.New("this step needs a bench")

// Machine takes one plan's steps on a cluster, through proxies of its own. It is used by one goroutine.
type Machine struct {
	c        *Cluster
	wire     wire.Wire
	plan     plan.Plan
	base     int64 // the cluster's revision before the first step, less one: what a plan counts from
	firstID  int64 // leases are named anew for each machine
	step     int
	proxies  []pb.KVServer
	ups      []*upstream
	unlinked map[string]bool
	held     map[string]*holding
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

// Machine begins p on the cluster: everything that an earlier machine left is wiped, the proxies are new. The cluster must
// have p.Members members, and one machine at a time.
func (c *Cluster) Machine(p plan.Plan) (*Machine, error) {
	if len(c.members) != p.Members {
		return nil, fmt.Errorf("the plan wants %d members, the cluster has %d", p.Members, len(c.members))
	}
	m := &Machine{c: c, plan: p, base: c.wipe() - 1, firstID: c.nextLease,
		unlinked: map[string]bool{}, held: map[string]*holding{}}
	c.nextLease += 1000
	m.wire = wire.Wire{Base: m.base, Ago: m.ago, LeaseID: m.leaseID}
	for i := range p.Proxies {
		m.ups = append(m.ups, &upstream{m: m, member: i % p.Members, proxy: name('p', i)})
		m.proxies = append(m.proxies, nil)
		m.startProxy(i)
	}
	return m, nil
}

func (m *Machine) startProxy(i int) {
	client := &clientv3.Client{}
	client.KV = clientv3.NewKVFromKVClient(m.ups[i], nil)
	m.proxies[i], _ = grpcproxy.NewKvProxy(client)
}

// Close loses whatever is still held.
func (m *Machine) Close() error {
	for _, h := range m.held {
		h.release <- false
		<-h.done
	}
	m.held = nil
	return nil
}

func name(kind rune, i int) string { return fmt.Sprintf("%c%d", kind, i+1) }

func number(name string) int { n, _ := strconv.Atoi(name[1:]); return n }

// Apply takes the next step.
func (m *Machine) Apply(s plan.Step) (plan.Observation, error) {
	m.step++
	none := plan.Observation{}
	switch s.Verb {
	case plan.Read, plan.Put, plan.Delete, plan.Txn, plan.Compact:
		return m.call(s)
	case plan.Grant, plan.Revoke, plan.Keepalive, plan.Expire:
		return m.lease(s)
	case plan.Release, plan.Fail:
		h := m.held[s.Name]
		if h == nil {
			return none, nil
		}
		delete(m.held, s.Name)
		h.release <- s.Verb == plan.Release
		o := <-h.done
		return o.obs, o.err
	case plan.Cut, plan.Mend:
		return none, m.link(s)
	case plan.Pin:
		m.ups[number(s.Target)-1].member = number(s.Other) - 1
	case plan.Permit, plan.Forbid:
		_, err := apply(m.c, 0, func(x *member) (any, error) {
			x.forbidden[s.Target] = s.Verb == plan.Forbid
			return nil, nil
		})
		return none, err
	case plan.Reboot:
		if s.Target[0] == 'p' {
			m.rebootProxy(number(s.Target) - 1)
		}
	case plan.Flood:
		return m.flood(s)
	case plan.Lead, plan.Delay, plan.Reconnect, plan.ExpireToken:
	default:
		return none, fmt.Errorf("%s: %w", s.Verb, ErrUnsupported)
	}
	return none, nil
}

func (m *Machine) rebootProxy(i int) {
	for name, h := range m.held {
		if h.proxy == i {
			h.release <- false
			<-h.done
			delete(m.held, name)
		}
	}
	m.startProxy(i)
}

func (m *Machine) link(s plan.Step) error {
	cut := s.Verb == plan.Cut
	switch {
	case s.Target[0] == 'm' && cut:
		m.c.cut(number(s.Target) - 1)
	case s.Target[0] == 'm':
		m.c.mend(number(s.Target) - 1)
	case s.Target[0] == 'p':
		m.unlinked[s.Target] = cut
	default:
		return fmt.Errorf("%s %s: %w", s.Verb, s.Target, ErrUnsupported)
	}
	return nil
}

// call makes one call of the KV service, through a proxy or on a member, and waits until it is answered or held.
func (m *Machine) call(s plan.Step) (plan.Observation, error) {
	via := s.Via
	if via == plan.VIP {
		via = name('p', (number(s.Who)-1)%max(m.plan.Proxies, 1))
	}
	if s.Hold != plan.NotHeld && m.held[s.Name] != nil {
		return plan.Observation{Err: plan.ErrSenseless}, nil
	}
	c := &call{who: s.Who, hold: s.Hold, arrived: make(chan struct{}), release: make(chan bool)}
	if via[0] == 'm' {
		c.hold = plan.NotHeld
	}
	ask, err := m.prepare(s, via)
	if err != nil {
		return plan.Observation{}, err
	}
	if c.hold == plan.NotHeld {
		return ask(c)
	}
	h := &holding{call: c, proxy: number(via) - 1, done: make(chan outcome, 1)}
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
func (m *Machine) prepare(s plan.Step, via string) (func(*call) (plan.Observation, error), error) {
	i := number(via) - 1
	proxied := via[0] == 'p'
	switch s.Verb {
	case plan.Read:
		r, err := m.wire.Range(plan.Op{Keys: s.Keys, Shape: s.Shape})
		return func(c *call) (plan.Observation, error) {
			var resp *pb.RangeResponse
			var err error
			if proxied {
				resp, err = m.proxies[i].Range(c.context(), r)
			} else {
				resp, err = m.rangeOn(c.context(), i, r)
			}
			if err != nil {
				return m.failed(err)
			}
			return m.wire.Answered(resp.Header, m.wire.Answer(via, source(proxied, c), r, resp)), nil
		}, err
	case plan.Put:
		r := m.wire.Put(plan.Op{Keys: s.Keys, Lease: s.Lease}, m.step)
		return func(c *call) (plan.Observation, error) {
			var resp *pb.PutResponse
			var err error
			if proxied {
				resp, err = m.proxies[i].Put(c.context(), r)
			} else {
				resp, err = m.putOn(c.context(), i, r)
			}
			if err != nil {
				return m.failed(err)
			}
			return m.wire.Answered(resp.Header), nil
		}, nil
	case plan.Delete:
		r, err := m.wire.Delete(s.Keys)
		return func(c *call) (plan.Observation, error) {
			var resp *pb.DeleteRangeResponse
			var err error
			if proxied {
				resp, err = m.proxies[i].DeleteRange(c.context(), r)
			} else {
				resp, err = m.deleteOn(c.context(), i, r)
			}
			if err != nil {
				return m.failed(err)
			}
			return m.wire.Answered(resp.Header), nil
		}, err
	case plan.Txn:
		r, err := m.wire.Txn(s.Txn, m.step)
		return func(c *call) (plan.Observation, error) {
			var resp *pb.TxnResponse
			var err error
			if proxied {
				resp, err = m.proxies[i].Txn(c.context(), r)
			} else {
				resp, err = m.txnOn(c.context(), i, r)
			}
			if err != nil {
				return m.failed(err)
			}
			return m.wire.Answered(resp.Header, m.wire.TxnAnswers(via, source(proxied, c), r, resp)...), nil
		}, err
	}
	r := &pb.CompactionRequest{Revision: m.ago(s.Back)}
	return func(c *call) (plan.Observation, error) {
		var resp *pb.CompactionResponse
		var err error
		if proxied {
			resp, err = m.proxies[i].Compact(c.context(), r)
		} else {
			resp, err = m.compactOn(c.context(), i, r)
		}
		if err != nil {
			return m.failed(err)
		}
		return m.wire.Answered(resp.Header), nil
	}, nil
}

func source(proxied bool, c *call) history.Source {
	switch {
	case !proxied:
		return history.Member
	case c.upstream:
		return history.Miss
	}
	return history.Hit
}

// ago is a revision that a plan counts back to, as etcd counts.
func (m *Machine) ago(back int) int64 {
	newest := int64(0)
	for _, x := range m.c.members {
		newest = max(newest, x.kv.Rev())
	}
	return max(newest-int64(back), m.base+1)
}

func (m *Machine) leaseID(name string) int64 { return m.firstID + int64(number(name)) }

func (m *Machine) lease(s plan.Step) (plan.Observation, error) {
	if strings.Contains(s.Lease, "/") {
		return plan.Observation{}, fmt.Errorf("%s of an instance: %w", s.Verb, ErrUnsupported)
	}
	i := 0
	if s.Verb != plan.Expire {
		if i = number(s.Via) - 1; s.Via[0] == 'p' {
			up := m.ups[i]
			if i = up.member; m.unlinked[up.proxy+"-"+name('m', i)] {
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
func (m *Machine) flood(s plan.Step) (plan.Observation, error) {
	i := number(s.Via) - 1
	for n := range 2049 {
		c := &call{who: s.Who}
		r := &pb.RangeRequest{Key: fmt.Appendf(nil, "flood/%d/%d", m.step, n), Serializable: true}
		if _, err := m.proxies[i].Range(c.context(), r); err != nil {
			return m.failed(err)
		}
	}
	return plan.Observation{}, nil
}

func (m *Machine) failed(err error) (plan.Observation, error) {
	words := map[error]string{
		rpctypes.ErrGRPCCompacted: plan.ErrCompacted, rpctypes.ErrGRPCFutureRev: plan.ErrFuture,
		rpctypes.ErrGRPCPermissionDenied: plan.ErrDenied, rpctypes.ErrGRPCTimeout: plan.ErrUnavailable,
		rpctypes.ErrGRPCLeaseNotFound: plan.ErrNoLease, rpctypes.ErrGRPCLeaseExist: plan.ErrLeaseExists,
		rpctypes.ErrGRPCDuplicateKey: plan.ErrDuplicate,
	}
	for known, word := range words {
		if errors.Is(err, known) || status.Convert(err).Message() == status.Convert(known).Message() {
			return plan.Observation{Err: word}, nil
		}
	}
	return plan.Observation{}, err
}
