package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness/balancer"
	"ghostroute/harness/etcd"
	"ghostroute/harness/gateway"
	"ghostroute/harness/history"
	"ghostroute/harness/link"
	"ghostroute/harness/proxy"
	"ghostroute/harness/registry"
	"ghostroute/harness/service"
)

// Bench is one running copy of a topology. Its methods may be called from one goroutine at a time, those of its parts from many.
type Bench struct {
	Topology Topology         // as it was asked for, with its defaults
	History  *history.History // what happened on it
	Cluster  *etcd.Cluster
	Balancer *balancer.Balancer // nil where Topology.Direct
	Dir      string             // the artifact folder; what is in it outlives the bench

	ctx    context.Context // ends with the bench
	cancel context.CancelFunc
	endMu  sync.Mutex
	end    []func() error // what Close ends, last first
	work   sync.WaitGroup // the bench's own goroutines

	proxies  []*proxy.Proxy
	gateways []*gateway.Gateway

	mu        sync.Mutex
	instances map[string]*service.Instance // by name: the latest of that name
	known     map[string]string            // address → instance, those that left too
	vips      map[string]*balancer.VIP     // by client
	direct    map[string][]*link.Link      // by client: its ways to the members, where Topology.Direct
	clients   map[string]*clientv3.Client  // by name, see Client
	scrubbing sync.Mutex                   // held while the scrubber reads, or is held back
	scrubs    atomic.Int64                 // how often it has been through every proxy
}

// Option changes how a bench is started, not what it is.
type Option func(*options)

type options struct {
	cluster *etcd.Cluster
	dir     string
	follow  func(history.Event)
}

// On starts the bench on a cluster that is already running and stays so; whoever owns it wipes it between benches (etcd.Cluster.Wipe).
func On(c *etcd.Cluster) Option { return func(o *options) { o.cluster = c } }

// Following has f called with every event as it happens, see history.History.Follow.
func Following(f func(history.Event)) Option { return func(o *options) { o.follow = f } }

// Start starts a bench for a test, which fails if it cannot, and ends it with the test. The history is saved as history.jsonl in the
// test's artifact folder; `go test -artifacts` keeps that.
func Start(t testing.TB, top Topology, opts ...Option) *Bench {
	t.Helper()
	ctx, cancel := Context(t)
	t.Cleanup(cancel)
	opts = append([]Option{func(o *options) { o.dir = t.ArtifactDir() }}, opts...)
	b, err := Open(ctx, top, opts...)
	if err != nil {
		t.Fatalf("the bench did not start: %v", err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("the bench did not end as it should: %v", err)
		}
		if t.Failed() {
			t.Logf("history: %s (kept with -artifacts)\nreplay: go test ./scenarios -run '^%s$' -count=1 -v -artifacts", filepath.Join(b.Dir, "history.jsonl"), t.Name())
		}
	})
	return b
}

// Open starts a bench and returns when every part of it is ready: members have a leader and serve, proxies listen, instances are
// registered, gateways are connected. ctx bounds the start, not the bench's life. If it fails, nothing is left running.
func Open(ctx context.Context, top Topology, opts ...Option) (b *Bench, err error) {
	if err := top.Validate(); err != nil {
		return nil, err
	}
	var o options
	for _, f := range opts {
		f(&o)
	}
	b = &Bench{Topology: top.withDefaults(), History: history.New(), Dir: o.dir, instances: map[string]*service.Instance{},
		known: map[string]string{}, vips: map[string]*balancer.VIP{}, direct: map[string][]*link.Link{}, clients: map[string]*clientv3.Client{}}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	if o.follow != nil {
		b.History.Follow(o.follow)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.Close())
			b = nil
		}
	}()
	for _, step := range []func(context.Context, *options) error{
		b.startCluster, b.startProxies, b.startBalancer, b.startInstances, b.startGateways, b.startScrub,
	} {
		if err := step(ctx, &o); err != nil {
			return b, err
		}
	}
	return b, nil
}

// ends has Close call f.
func (b *Bench) ends(f func() error) {
	b.endMu.Lock()
	defer b.endMu.Unlock()
	b.end = append(b.end, f)
}

// Close ends everything the bench started, in the opposite order, and saves the history. It may be called again.
func (b *Bench) Close() error {
	b.cancel()
	b.work.Wait()
	var errs []error
	for _, f := range slices.Backward(b.end) {
		errs = append(errs, f())
	}
	b.end = nil
	return errors.Join(append(errs, b.Save())...)
}

// Save writes the history so far into the artifact folder; a bench without a folder keeps it in memory.
func (b *Bench) Save() error {
	if b.Dir == "" {
		return nil
	}
	f, err := os.Create(filepath.Join(b.Dir, "history.jsonl"))
	if err != nil {
		return fmt.Errorf("the history was not saved: %w", err)
	}
	_, err = b.History.WriteTo(f)
	return errors.Join(err, f.Close())
}

func (b *Bench) startCluster(ctx context.Context, o *options) error {
	b.Cluster = o.cluster
	if b.Cluster == nil {
		dir, remove, err := scratch()
		if err != nil {
			return err
		}
		b.ends(remove)
		c, err := etcd.Start(ctx, etcd.Config{Members: b.Topology.Members, Dir: dir, History: b.History})
		if err != nil {
			return err
		}
		b.Cluster = c
		b.ends(c.Close)
	} else if n := len(b.Cluster.Members); n != b.Topology.Members {
		return fmt.Errorf("this topology cannot be on a cluster of %d members: Members is %d", n, b.Topology.Members)
	}
	stop := b.Cluster.Follow(b.History, 0)
	b.ends(func() error { stop(); return nil })
	if b.Topology.Auth {
		return b.enableAuth(ctx)
	}
	return nil
}

func (b *Bench) startProxies(ctx context.Context, _ *options) error {
	if b.Topology.Direct {
		return nil
	}
	for _, name := range names("p", b.Topology.Proxies) {
		p, err := b.StartProxy(ctx, name, b.Topology.Variant)
		if err != nil {
			return err
		}
		b.proxies = append(b.proxies, p)
	}
	return nil
}

// StartProxy starts one more proxy beside the topology's, behind no balancer, and ends it with the bench.
func (b *Bench) StartProxy(ctx context.Context, name string, v proxy.Variant) (*proxy.Proxy, error) {
	var up []proxy.Upstream
	for _, m := range b.upstream() {
		up = append(up, proxy.Upstream{Name: m.Name, Addr: m.Endpoint(), ID: m.ID()})
	}
	p, err := proxy.Start(ctx, proxy.Config{Name: name, Upstream: up, Variant: v, History: b.History,
		ClientOf: func(addr string) string { return b.clientOf(name, addr) }})
	if err != nil {
		return nil, err
	}
	b.ends(p.Close)
	return p, nil
}

// upstream are the members that proxies, or clients without proxies, may ask.
func (b *Bench) upstream() []*etcd.Member {
	if len(b.Topology.Upstream) == 0 {
		return b.Cluster.Members
	}
	return slices.DeleteFunc(slices.Clone(b.Cluster.Members), func(m *etcd.Member) bool { return !slices.Contains(b.Topology.Upstream, m.Name) })
}

// clientOf is whose connection a proxy sees coming from addr.
func (b *Bench) clientOf(proxy, addr string) string {
	if b.Balancer == nil {
		return ""
	}
	return b.Balancer.ClientOf(proxy, addr)
}

func (b *Bench) startBalancer(context.Context, *options) error {
	if b.Topology.Direct {
		return nil
	}
	var backends []balancer.Backend
	for i, p := range b.proxies {
		backends = append(backends, balancer.Backend{Name: p.Name(), Addr: p.Addr(), Weight: b.Topology.Weights[i]})
	}
	lb, err := balancer.New(b.History, backends)
	if err != nil {
		return err
	}
	b.Balancer = lb
	b.ends(lb.Close)
	lb.SetSticky(b.Topology.Sticky)
	return nil
}

func (b *Bench) startInstances(ctx context.Context, _ *options) error {
	for _, id := range b.Topology.Instances {
		if _, err := b.Register(ctx, id); err != nil {
			return err
		}
	}
	// One more client, an operator's, connects here: with the default instances the schedule then gives g1 to p1, g2 to p2, g3 to p3.
	if !b.Topology.Direct {
		if _, err := b.Client(ctx, "ops"); err != nil {
			return err
		}
	}
	return b.Cluster.WaitApplied(ctx, 0)
}

func (b *Bench) startGateways(ctx context.Context, _ *options) error {
	for _, user := range b.Topology.Users {
		if user != "" && user != Root {
			if err := b.User(ctx, user); err != nil {
				return err
			}
		}
	}
	for i, name := range names("g", b.Topology.Gateways) {
		if _, err := b.StartGateway(ctx, name, b.Topology.ModeOf(i+1)); err != nil {
			return err
		}
	}
	return nil
}

// StartGateway starts a gateway of the topology's kind in that read mode, in place of the one of that name if there is one: another
// process, which makes a connection of its own.
func (b *Bench) StartGateway(ctx context.Context, name string, mode registry.Mode) (*gateway.Gateway, error) {
	at := slices.IndexFunc(b.gateways, func(g *gateway.Gateway) bool { return g.Name() == name })
	if at < 0 {
		at = len(b.gateways)
	} else {
		if err := b.gateways[at].Close(); err != nil {
			return nil, err
		}
	}
	cfg, err := b.registryOf(name, mode)
	if err != nil {
		return nil, err
	}
	if at < len(b.Topology.Users) && b.Topology.Users[at] != "" {
		cfg.Username, cfg.Password = b.Topology.Users[at], b.Topology.Users[at]
	}
	g, err := gateway.Start(ctx, gateway.Config{Name: name, Kind: b.Topology.Reading, Registry: cfg, CacheTTL: b.Topology.CacheTTL,
		Retry: b.Topology.Retry, History: b.History, Target: b.targetAt})
	if err != nil {
		return nil, err
	}
	b.ends(g.Close)
	if at < len(b.gateways) {
		b.gateways[at] = g
	} else {
		b.gateways = append(b.gateways, g)
	}
	return g, nil
}

// registryOf is how a client of that name reaches the registry: its own VIP, or the members where there is no proxy.
func (b *Bench) registryOf(client string, mode registry.Mode) (registry.Config, error) {
	addrs, err := b.addresses(client)
	cfg := registry.Config{Client: client, Addresses: addrs, Mode: mode, History: b.History}
	if b.Topology.Auth {
		cfg.Username, cfg.Password = Root, Root
	}
	return cfg, err
}

func (b *Bench) addresses(client string) ([]string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.Topology.Direct {
		var addrs []string
		if b.direct[client] == nil {
			for _, m := range b.upstream() {
				l, err := link.Listen(client+"→"+m.Name, link.To("tcp", m.Endpoint()))
				if err != nil {
					return nil, err
				}
				b.ends(l.Close)
				b.direct[client] = append(b.direct[client], l)
			}
		}
		for _, l := range b.direct[client] {
			addrs = append(addrs, l.Addr())
		}
		return addrs, nil
	}
	if b.vips[client] == nil {
		v, err := b.Balancer.VIP(client)
		if err != nil {
			return nil, err
		}
		b.vips[client] = v
	}
	return []string{b.vips[client].Addr()}, nil
}

// targetAt is the instance that is, or last was, at an address.
func (b *Bench) targetAt(addr string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.known[addr]
}

// startScrub starts what the fix of that name runs beside the proxies, see Scrub.
func (b *Bench) startScrub(_ context.Context, _ *options) error {
	if b.Topology.Scrub == 0 || b.Topology.Direct {
		return nil
	}
	b.work.Go(func() {
		tick := time.NewTicker(b.Topology.Scrub)
		defer tick.Stop()
		for {
			select {
			case <-b.ctx.Done():
				return
			case <-tick.C:
				// A proxy that is down or cut off is scrubbed at the next tick.
				ctx, cancel := context.WithTimeout(b.ctx, time.Second)
				b.scrubbing.Lock()
				if b.Scrub(ctx) == nil {
					b.scrubs.Add(1)
				}
				b.scrubbing.Unlock()
				cancel()
			}
		}
	})
	return nil
}
