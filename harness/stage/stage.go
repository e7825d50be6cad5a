// Package stage is an etcd cluster, grpc-proxies before it, a balancer before those, and the clients' ways to them:
// what a bench and the explorer's laboratory stand on. Every fault and every write is one method or one client of the
// stage, which does it and records it.
//
// Nodes go by their names: members "m1", proxies "p1", clients whatever their owner calls them, "g1", "v1-a", "ops". A
// link goes by the two it joins: "p1→m2", "g1→vip".
package stage

import (
	"context"
	"errors"
	"slices"
	"sync"

	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness/balancer"
	"ghostroute/harness/etcd"
	"ghostroute/harness/history"
	"ghostroute/harness/link"
	"ghostroute/harness/program"
	"ghostroute/harness/proxy"
	"ghostroute/harness/text"
)

// Stage is used by one goroutine at a time, its parts by many. New makes one, Close ends it; the cluster is its
// owner's.
type Stage struct {
	History  *history.History
	Cluster  *etcd.Cluster
	Balancer *balancer.Balancer // nil until StartBalancer

	// Program is what proxies run, each as a process of its own; the zero Program is a proxy inside this process.
	Program program.Program

	// Balances is what balances from StartBalancer on; the zero Program is our own.
	Balances balancer.Program

	// ClientOf is the client whose connection to a proxy comes from an address, where it did not come by way of the
	// balancer; nil knows of none.
	ClientOf func(addr string) string

	// Watched has what proxies watch at their members go into the history; Advertise is what they say they are reached at,
	// see proxy.Config.
	Watched   bool
	Advertise string

	upstream []*etcd.Member // the members that proxies, or clients without proxies, may ask
	proxies  []*proxy.Proxy
	auth     bool // authentication is on: the stage's own clients are root

	// Inert is set for a stage on which nothing goes wrong: what would be inflicted is left out, and counted in Spared.
	Inert  bool
	Spared int

	scrubber scrubber

	endMu sync.Mutex
	end   []func() error // what Close ends, last first

	mu      sync.Mutex
	vips    map[string]*balancer.VIP    // by client
	direct  map[string][]*link.Link     // by client: its ways to the members, where there is no balancer
	clients map[string]*clientv3.Client // by name, see Client and At
	before  map[string]link.Stats       // by link: what it had counted when it was broken
}

// New is a stage on a cluster, which faults and commits are recorded of from now on. Proxies and clients may ask the
// members upstream; none stands for all.
func New(h *history.History, c *etcd.Cluster, upstream ...string) *Stage {
	s := &Stage{History: h, Cluster: c, vips: map[string]*balancer.VIP{}, direct: map[string][]*link.Link{},
		clients: map[string]*clientv3.Client{}, before: map[string]link.Stats{}}
	for _, m := range c.Members {
		if len(upstream) == 0 || slices.Contains(upstream, m.Name) {
			s.upstream = append(s.upstream, m)
		}
	}
	c.Record(h)
	return s
}

// Ends has Close call f, before what was given to Ends earlier.
func (s *Stage) Ends(f func() error) {
	s.endMu.Lock()
	defer s.endMu.Unlock()
	s.end = append(s.end, f)
}

// Close ends everything that was started on the stage, in the opposite order. It may be called again.
func (s *Stage) Close() error {
	if s.scrubber.stop != nil {
		s.scrubber.stop() // it makes clients
	}
	var errs []error
	for _, f := range slices.Backward(s.end) {
		errs = append(errs, f())
	}
	s.end = nil
	return errors.Join(errs...)
}

// StartProxy starts a proxy in front of these members; none stands for the stage's upstream. Where there are several,
// it asks the first until Narrow says otherwise only if narrow is what its owner calls; etcd's client asks them in
// turn.
func (s *Stage) StartProxy(ctx context.Context, name string, v proxy.Variant, members ...string) (*proxy.Proxy, error) {
	up := s.upstream
	if len(members) > 0 {
		up = slices.DeleteFunc(slices.Clone(s.Cluster.Members),
			func(m *etcd.Member) bool { return !slices.Contains(members, m.Name) })
	}
	cfg := proxy.Config{Name: name, Variant: v, History: s.History, Watched: s.Watched, Advertise: s.Advertise,
		Program: s.Program, Dir: s.Cluster.Dir()}
	cfg.ClientOf = func(addr string) (client string) {
		if s.Balancer != nil {
			client = s.Balancer.ClientOf(name, addr)
		}
		if client == "" && s.ClientOf != nil {
			client = s.ClientOf(addr)
		}
		return client
	}
	for _, m := range up {
		cfg.Upstream = append(cfg.Upstream, proxy.Upstream{Name: m.Name, Addr: m.Endpoint(), ID: m.ID()})
	}
	p, err := proxy.Start(ctx, cfg)
	if err != nil {
		return nil, err
	}
	s.Ends(p.Close)
	s.proxies = append(s.proxies, p)
	return p, nil
}

// StartBalancer starts the balancer in front of every proxy there is, with these weights; nil gives each 1.
func (s *Stage) StartBalancer(ctx context.Context, weights []int, sticky bool) (err error) {
	var backends []balancer.Backend
	for i, p := range s.proxies {
		b := balancer.Backend{Name: p.Name(), Addr: p.Addr(), Weight: 1}
		if weights != nil {
			b.Weight = weights[i]
		}
		backends = append(backends, b)
	}
	if s.Balances == (balancer.Program{}) {
		s.Balancer, err = balancer.New(s.History, backends)
	} else {
		s.Balancer, err = balancer.NewHAProxy(ctx, s.History, backends,
			balancer.HAProxy{Program: s.Balances, Dir: s.Cluster.Dir(), Sticky: sticky})
	}
	if err != nil {
		return err
	}
	s.Ends(s.Balancer.Close)
	return s.Balancer.SetSticky(sticky)
}

// Proxies are the proxies in the order in which they were started.
func (s *Stage) Proxies() []*proxy.Proxy { return s.proxies }

// Proxy is the proxy of that name. It panics where there is none, as a typo in a test should.
func (s *Stage) Proxy(name string) *proxy.Proxy {
	p, err := s.proxy(name)
	if err != nil {
		panic(err)
	}
	return p
}

func (s *Stage) proxy(name string) (*proxy.Proxy, error) {
	return text.Find("proxy", name, s.proxies, (*proxy.Proxy).Name)
}

// member is the member of that name.
func (s *Stage) member(name string) (*etcd.Member, error) {
	return text.Find("member", name, s.Cluster.Members, func(m *etcd.Member) string { return m.Name })
}

// PinnedTo is the proxy that a client's live connection goes to, "" where it has none.
func (s *Stage) PinnedTo(client string) string {
	if s.Balancer == nil {
		return ""
	}
	if pinned := s.Balancer.Pinned()[client]; len(pinned) > 0 {
		return pinned[len(pinned)-1]
	}
	return ""
}

// SetWeights gives proxies new weights at the balancer; connections that exist stay where they are.
func (s *Stage) SetWeights(weights map[string]int) error {
	if s.Balancer == nil {
		return errors.New("there are no weights to set: there is no balancer")
	}
	return s.Balancer.SetWeights(weights)
}

// Only gives every new connection to one proxy, or with "" to each of them alike.
func (s *Stage) Only(name string) error {
	weights := map[string]int{}
	for _, p := range s.proxies {
		weights[p.Name()] = 1
		if name != "" && p.Name() != name {
			weights[p.Name()] = 0
		}
	}
	return s.SetWeights(weights)
}

// Inflict does what is to go wrong. On an inert stage it does not: a scenario whose fault is taken out must not read
// the same.
func (s *Stage) Inflict(do func() error) error {
	if s.Inert {
		s.Spared++
		return nil
	}
	return do()
}

// fault records one.
func (s *Stage) fault(f history.Fault) {
	s.History.Add(history.Event{Who: "bench", Fault: &f})
}
