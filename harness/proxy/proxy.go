// Package proxy serves etcd's grpc-proxy: the upstream grpcproxy package behind a real gRPC listener, wired as etcd's
// server/etcdmain/grpc_proxy.go wires it, in stock form or as one of the variants.
//
// Around the proxy, never in it, are provenance (which proxy answered a Range, from its cache or not, true at which
// revision) and gates (an RPC to or from a member that is held until released). A proxy may be a process of its own,
// any etcd's (Config.Program): what interceptors do for the one relays do for the other, and the same is recorded.
package proxy

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3election/v3electionpb"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3lock/v3lockpb"
	"go.etcd.io/etcd/server/v3/proxy/grpcproxy"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/stats"

	"ghostroute/harness/conn"
	"ghostroute/harness/hangup"
	"ghostroute/harness/history"
	"ghostroute/harness/link"
	"ghostroute/harness/port"
	"ghostroute/harness/program"
)

// Upstream is a member as a proxy reaches it.
type Upstream struct {
	Name string // "m1"
	Addr string // "127.0.0.1:port"
	ID   uint64 // the member's ID, which is in the header of its answers; 0 where that is not known
}

// Config says what a proxy is. Name, Upstream and History are required.
type Config struct {
	Name     string                   // "p1"
	Upstream []Upstream               // the members it may ask; gRPC balances over them
	Variant  Variant                  // how it differs from stock; the zero Variant is stock
	History  *history.History         // where its answers and faults are written
	ClientOf func(addr string) string // the client whose connection comes from addr, as the balancer knows it. May be nil
	Logger   *zap.Logger              // nil for none
	Bare     bool                     // no provenance, no gates and no links: what a benchmark compares with
	Stats    stats.Handler            // sees what its upstream client sends and receives. May be nil

	Advertise string // --advertise-client-url, what it says that it is where clients ask for etcd's members; "" asks them
	Watched   bool   // its watches upstream go into the history

	// Program is what it runs, as a process of its own; the zero Program is a proxy inside this process. Dir is then an
	// existing folder for what it keeps and says.
	Program program.Program
	Dir     string
}

// Proxy is one grpc-proxy. Its address stays the same for its whole life, however often it is restarted.
type Proxy struct {
	cfg   Config
	port  *port.Port
	links map[string]*link.Link // by member: the proxy's way to it
	gates gates
	seen  requests

	outside *outside // of a process: what stands around it

	mu     sync.Mutex
	run    *running // nil while stopped
	narrow []string // the members it may ask now
	died   error    // a process of its ended though nobody told it to

	watchers atomic.Int64 // watch streams that clients have open
	watches  atomic.Bool  // see Watches
	ranges   atomic.Int64 // see Ranges
	upstream upstream
}

// running is what ends with a stop: the server, its client and with them the cache.
type running struct {
	cancel context.CancelFunc
	client *clientv3.Client
	serve  func() error // blocks until stop
	stop   func()
	done   chan struct{}
	after  []func() // what the variant wants ended, last first

	// what can be asked of it; nil of a relay of bytes
	narrow func()                                                    // the members it may ask are others
	reach  func(ctx context.Context, yes bool) error                 // see Reach
	peek   func(context.Context, *pb.RangeRequest) *pb.RangeResponse // see Peek
}

// Start starts a proxy and returns once it listens. It does not wait for its members to be reachable; etcd's does not
// either.
func Start(ctx context.Context, cfg Config) (*Proxy, error) {
	if cfg.Name == "" || len(cfg.Upstream) == 0 || cfg.History == nil {
		return nil, fmt.Errorf("a proxy needs a name, at least one upstream member and a history: got name %q, %d members",
			cfg.Name, len(cfg.Upstream))
	}
	if cfg.Logger == nil {
		cfg.Logger = zap.NewNop()
	}
	p := &Proxy{cfg: cfg, links: map[string]*link.Link{}}
	reserve, to := port.Reserve, func(u Upstream) link.Target { return link.To("tcp", u.Addr) }
	if cfg.Program != (program.Program{}) {
		if err := p.surround(); err != nil {
			return nil, errors.Join(fmt.Errorf("proxy %s: %w", cfg.Name, err), p.Close())
		}
		if to = p.behind; cfg.Variant.Relays {
			reserve = port.ReserveForProcess
		}
	}
	var err error
	if p.port, err = reserve(); err != nil {
		return nil, errors.Join(fmt.Errorf("proxy %s: %w", cfg.Name, err), p.Close())
	}
	for _, u := range cfg.Upstream {
		l, err := link.Listen(cfg.Name+"→"+u.Name, to(u))
		if err != nil {
			return nil, errors.Join(err, p.Close())
		}
		p.links[u.Name] = l
		p.narrow = append(p.narrow, u.Name)
	}
	if err = p.Narrow(p.narrow...); err == nil {
		err = p.start(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// Name is the proxy's name, "p1".
func (p *Proxy) Name() string { return p.cfg.Name }

// Addr is where it listens, "127.0.0.1:port"; refused while it is stopped.
func (p *Proxy) Addr() string { return p.port.Addr() }

// Variant is how it differs from stock.
func (p *Proxy) Variant() Variant { return p.cfg.Variant }

// Link is the proxy's way to a member: it can be delayed, cut or made a black hole. It is nil for a member it does not
// have.
func (p *Proxy) Link(member string) *link.Link { return p.links[member] }

// Watches says whether the proxy has watched the registry of its own accord, whatever its variant says that it does.
func (p *Proxy) Watches() bool { return p.watches.Load() }

// Ranges is how many Range requests the proxy has sent to its members, those of its own accord included.
func (p *Proxy) Ranges() int64 { return p.ranges.Load() }

// Narrow lets the proxy ask only these members from now on; no names at all means every member it was given.
func (p *Proxy) Narrow(members ...string) error {
	if len(members) == 0 {
		for _, u := range p.cfg.Upstream {
			members = append(members, u.Name)
		}
	}
	for _, m := range members {
		if p.links[m] == nil {
			return fmt.Errorf("proxy %s has no upstream member %q: it has %v", p.cfg.Name, m, p.cfg.Upstream)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.narrow = slices.Clone(members)
	if p.outside != nil && !p.cfg.Variant.Relays {
		if err := p.outside.ask(p.narrow); err != nil {
			return err
		}
	}
	if p.run != nil && p.run.narrow != nil {
		p.run.narrow()
	}
	return nil
}

// endpoints are the addresses of the members it may ask. p.mu is held, or p is not shared yet.
func (p *Proxy) endpoints() []string {
	var eps []string
	for _, u := range p.cfg.Upstream {
		switch {
		case !slices.Contains(p.narrow, u.Name):
		case p.cfg.Bare:
			eps = append(eps, u.Addr)
		default:
			eps = append(eps, p.links[u.Name].Addr())
		}
	}
	return eps
}

// Stop ends the proxy as a killed process ends: connections break, what was held upstream is given up, the cache is
// gone.
func (p *Proxy) Stop() {
	if p.halt() {
		p.fault(history.Stop, "its cache is gone")
	}
}

// halt is Stop without recording it. It says whether there was anything to stop.
func (p *Proxy) halt() bool {
	p.mu.Lock()
	r := p.run
	p.run = nil
	p.mu.Unlock()
	if r == nil {
		return false
	}
	p.gates.loseAll()
	r.end()
	return true
}

// Restart stops the proxy if it runs and starts it again on the same address with an empty cache.
func (p *Proxy) Restart(ctx context.Context) error {
	p.halt()
	if err := p.start(ctx); err != nil {
		return err
	}
	p.fault(history.Restart, "its cache is empty")
	return nil
}

// Close stops the proxy and gives its port and its links back.
func (p *Proxy) Close() error {
	p.halt()
	err := p.died
	p.died = nil
	for _, l := range p.links {
		err = errors.Join(err, l.Close())
	}
	if p.outside != nil {
		err = errors.Join(err, p.outside.close())
	}
	if p.port != nil {
		err = errors.Join(err, p.port.Close())
	}
	return err
}

func (p *Proxy) fault(kind history.FaultKind, detail string) {
	p.cfg.History.Add(history.Event{Who: p.cfg.Name,
		Fault: &history.Fault{Kind: kind, Op: history.Fire, Target: p.cfg.Name, Detail: detail}})
}

func (p *Proxy) start(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.run != nil {
		return fmt.Errorf("proxy %s already runs", p.cfg.Name)
	}
	r := &running{done: make(chan struct{})}
	wire := p.wire
	if p.outside != nil {
		wire = p.spawn
	} else if p.cfg.Variant.serve != nil {
		wire = func(ctx context.Context, r *running) error { return p.cfg.Variant.serve(p, r) }
	}
	if err := wire(ctx, r); err != nil {
		r.end()
		return fmt.Errorf("proxy %s (%s) did not start: %w", p.cfg.Name, p.cfg.Variant, err)
	}
	go func() {
		defer close(r.done)
		r.serve() // ends by stop; a listener that fails is seen by every client at once
	}()
	p.run = r
	return nil
}

// wire builds what newGRPCProxyServer of etcdmain/grpc_proxy.go builds, in its order.
func (p *Proxy) wire(ctx context.Context, r *running) error {
	lg := p.cfg.Logger
	unary, stream := grpcproxy.AuthUnaryClientInterceptor, grpcproxy.AuthStreamClientInterceptor
	if !p.cfg.Bare {
		unary, stream = p.tapUnary, p.tapStream
	}
	// As etcdmain does: these replace clientv3's retry interceptors, they do not join them.
	dial := []grpc.DialOption{grpc.WithUnaryInterceptor(unary), grpc.WithStreamInterceptor(stream)}
	if p.cfg.Stats != nil {
		dial = append(dial, grpc.WithStatsHandler(p.cfg.Stats))
	}
	client, err := clientv3.New(clientv3.Config{
		Endpoints:   p.endpoints(),
		DialTimeout: 5 * time.Second,
		Logger:      lg.Named("client"),
		DialOptions: dial,
	})
	if err != nil {
		return err
	}
	r.client = client
	// What a variant does first with its client has no context of its own: leasing.NewKV waits for a lease for ever
	// where it is refused.
	started := context.AfterFunc(ctx, func() { client.Close() })
	defer started()
	wctx, cancel := context.WithCancel(client.Ctx())
	r.cancel = cancel

	w := &Wiring{Name: p.cfg.Name, Ctx: wctx, Client: client, run: r}
	if p.cfg.Variant.client != nil {
		if err := p.cfg.Variant.client(ctx, w); err != nil {
			return err
		}
	}
	var kv pb.KVServer
	if p.cfg.Variant.kv != nil {
		kv = p.cfg.Variant.kv(w)
	} else {
		kv, _ = grpcproxy.NewKvProxy(client)
	}
	r.narrow = func() { client.SetEndpoints(p.endpoints()...) }
	r.reach = func(ctx context.Context, yes bool) error {
		if yes {
			return conn.Ready(ctx, client.ActiveConnection())
		}
		return conn.Lost(ctx, client.ActiveConnection())
	}
	r.peek = func(ctx context.Context, req *pb.RangeRequest) *pb.RangeResponse {
		resp, err := kv.Range(context.WithValue(ctx, callKey{}, &call{peek: true}), req)
		if err != nil {
			return nil // not cached, or compacted: nothing it would answer with
		}
		return resp
	}
	watchp, watchDone, leasep, leaseDone := p.streams(wctx, client)
	// No resolver prefix is given: the bench's proxies are found through the balancer.
	clusterp, _ := grpcproxy.NewClusterProxy(lg, client, p.cfg.Advertise, "")

	opts := []grpc.ServerOption{grpc.MaxConcurrentStreams(math.MaxUint32), grpc.ChainUnaryInterceptor(w.unary...)}
	if !p.cfg.Bare {
		opts = append(opts, grpc.UnaryInterceptor(p.provenance), grpc.StreamInterceptor(p.deliver))
	}
	server := grpc.NewServer(opts...)
	pb.RegisterKVServer(server, kv)
	pb.RegisterWatchServer(server, watchp)
	pb.RegisterClusterServer(server, clusterp)
	pb.RegisterLeaseServer(server, leasep)
	pb.RegisterMaintenanceServer(server, grpcproxy.NewMaintenanceProxy(client))
	pb.RegisterAuthServer(server, grpcproxy.NewAuthProxy(client))
	v3electionpb.RegisterElectionServer(server, grpcproxy.NewElectionProxy(client))
	v3lockpb.RegisterLockServer(server, grpcproxy.NewLockProxy(client))

	l, err := p.port.Listen()
	if err != nil {
		return err
	}
	r.serve = func() error { return server.Serve(l) }
	r.stop = func() {
		server.Stop()
		cancel()
		<-watchDone
		<-leaseDone
	}
	return nil
}

// end ends what runs and waits for it.
func (r *running) end() {
	if r.cancel != nil {
		r.cancel()
	}
	if r.stop != nil {
		r.stop()
		<-r.done
	}
	for _, f := range slices.Backward(r.after) {
		f()
	}
	if r.client != nil {
		_ = hangup.Close(r.client) // the error is that its own context was cancelled
	}
}
