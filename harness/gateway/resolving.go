package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"sync"

	"github.com/micro/go-micro/v2/api"
	micro "github.com/micro/go-micro/v2/registry"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/naming/resolver"
	grpcresolver "google.golang.org/grpc/resolver"
	"google.golang.org/grpc/serviceconfig"

	"ghostroute/harness/keys"
	"ghostroute/harness/registry"
)

// resolving looks services up with etcd's own gRPC resolver, unmodified: one for each service that is asked for. It
// reads and watches go-micro's keys over the registry's client; their values are wrapped into its own form behind the
// wire (wrapped.go).
type resolving struct {
	reg *registry.Registry

	beginning sync.Mutex // one begins at a time
	mu        sync.Mutex
	all       map[string]*resolved
	changed   chan struct{} // closed and replaced whenever a watch comes to stand
	watches   int           // that were created, or could not be
}

func newResolving(reg *registry.Registry) *resolving {
	return &resolving{reg: reg, all: map[string]*resolved{}, changed: make(chan struct{})}
}

func (m *resolving) lookUp(ctx context.Context, service string) (*api.Service, error) {
	m.beginning.Lock()
	m.mu.Lock()
	r := m.all[service]
	m.mu.Unlock()
	var err error
	if r == nil {
		r, err = m.begin(service)
	}
	m.beginning.Unlock()
	if err != nil {
		return nil, err
	}
	return r.service(ctx, service)
}

// begin starts a resolver, which lists at once. One that could not is begun anew by the next lookup, as gRPC does.
func (m *resolving) begin(service string) (*resolved, error) {
	kv := &wrappedKV{KV: m.reg.Client().KV}
	c := clientv3.NewCtxClient(context.Background()) // it has no connection: these two are all that is used of it
	c.KV, c.Watcher = kv, &wrappedWatcher{m.reg.Client().Watcher, m.stands}
	b, err := resolver.NewBuilder(c)
	if err != nil {
		return nil, err
	}
	r := &resolved{told: make(chan struct{})}
	// the resolver drops a path's first slash
	target := grpcresolver.Target{URL: url.URL{Path: "/" + keys.Registry + service}}
	if r.resolver, err = b.Build(target, r, grpcresolver.BuildOptions{}); err != nil {
		return nil, err
	}
	if !kv.found { // an empty list is told nobody
		r.tell()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all[service] = r
	return r, nil
}

// stands notes that a watch was created, or could not be.
func (m *resolving) stands() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.watches++
	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *resolving) awaitWatching(ctx context.Context) error {
	for {
		m.mu.Lock()
		all, changed := m.watches >= len(m.all), m.changed
		m.mu.Unlock()
		if all {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return errors.Join(errors.New("a resolver's watch is not established"), context.Cause(ctx))
		}
	}
}

func (m *resolving) close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.all {
		r.resolver.Close()
	}
	return nil
}

// resolved is what a resolver has told: it is the connection that the resolver resolves for.
type resolved struct {
	resolver grpcresolver.Resolver

	mu    sync.Mutex
	state grpcresolver.State
	told  chan struct{} // closed when there is something to tell
}

func (r *resolved) tell() {
	select {
	case <-r.told:
	default:
		close(r.told)
	}
}

// UpdateState is the resolver's word.
func (r *resolved) UpdateState(s grpcresolver.State) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state = s
	r.tell()
	return nil
}

// ReportError, NewAddress and ParseServiceConfig are not called by etcd's resolver.
func (r *resolved) ReportError(error)                                    {}
func (r *resolved) NewAddress([]grpcresolver.Address)                    {}
func (r *resolved) ParseServiceConfig(string) *serviceconfig.ParseResult { return nil }
func (r *resolved) service(ctx context.Context, name string) (*api.Service, error) {
	select {
	case <-r.told:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	is := &api.Service{Name: name}
	for _, e := range r.state.Endpoints {
		for _, a := range e.Addresses {
			var s micro.Service
			if err := json.Unmarshal([]byte(a.Addr), &s); err != nil {
				return nil, err
			}
			is.Services = append(is.Services, &s)
		}
	}
	if len(is.Services) == 0 {
		return nil, micro.ErrNotFound
	}
	return is, nil
}
