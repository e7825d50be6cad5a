// Package gateway runs API gateways: real HTTP servers on loopback that look a service up in the registry and pass
// the request on to one of its instances, with go-micro's own parts and no others of consequence.
//
// There are two kinds, because go-micro's cache hides the proxy's. Both pass requests on with go-micro's
// api/handler/http, which picks an instance at random and dials it; they differ in the lookup (route.go):
//
//   - each-request reads the registry on each request: what it sees is what the proxy answers.
//   - go-micro is go-micro's api/router/registry with the registry/cache inside it: what it sees is what users get.
//
// Each lookup and each request goes into the history, with where the answer came from, which address was dialled, who
// answered by its own word, and the line that was logged.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"ghostroute/harness/history"
	"ghostroute/harness/registry"
)

// Kind is how a gateway looks services up. It is the Reading of its history.Resolve events.
type Kind string

const (
	EachRequest Kind = history.EachRequest // the registry is read on each request
	GoMicro     Kind = history.GoMicro     // go-micro's router, with its cache and its watches
)

// Config is a gateway. Name, Registry.Addresses and History are required.
type Config struct {
	Name     string          // "g1"
	Kind     Kind            // EachRequest where it is empty
	Library  Library         // of a GoMicro gateway: what it remembers with
	Registry registry.Config // how to read; Client and History are the gateway's where they are empty
	CacheTTL time.Duration   // of go-micro's registry/cache; go-micro's own, a minute, where it is 0
	Retry    int             // how many other instances to try when one cannot be dialled
	History  *history.History

	// Target is the instance that the bench knows at an address, or knew before it left. Where it is nil, or does not
	// know, the target of a request is the instance that the registry's answer named there.
	Target func(address string) string
}

func (c *Config) complete() error {
	if c.Kind == "" {
		c.Kind = EachRequest
	}
	var errs []error
	if c.Name == "" {
		errs = append(errs, errors.New("name is empty; it may be any"))
	}
	if c.Kind != EachRequest && c.Kind != GoMicro {
		errs = append(errs, fmt.Errorf("kind is %q; it may be %q or %q", c.Kind, EachRequest, GoMicro))
	}
	if !slices.Contains(Libraries(), c.Library) || c.Library != Shipped && c.Kind != GoMicro {
		errs = append(errs, fmt.Errorf("library is %q; it may be one of %q, of a gateway of kind %q", c.Library,
			Libraries(), GoMicro))
	}
	if c.CacheTTL < 0 {
		errs = append(errs, fmt.Errorf("cache ttl is %s; it may be 0 (go-micro's minute) or more", c.CacheTTL))
	}
	if c.Retry < 0 {
		errs = append(errs, fmt.Errorf("retry is %d; it may be 0 (none) or more", c.Retry))
	}
	if c.History == nil {
		errs = append(errs, errors.New("history is nil; it may be history.New()"))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("gateway %q cannot be: %w", c.Name, err)
	}
	if c.Registry.Client == "" {
		c.Registry.Client = c.Name
	}
	if c.Registry.History == nil {
		c.Registry.History = c.History
	}
	return nil
}

// Gateway is a running gateway. It is safe for use by many goroutines.
type Gateway struct {
	cfg     Config
	address string
	server  *http.Server
	serving sync.WaitGroup
	client  *http.Client // Call's
	calls   calls

	process atomic.Pointer[process]
	life    sync.Mutex // one of Restart and Close at a time
	closed  bool
}

// Start starts a gateway whose client is connected: from then on it is pinned to the proxy that the balancer gave it.
// It has asked nothing yet, but for the list of services that go-micro's router begins with. go-micro's router lists
// services again only after ten minutes, so start a gateway after its services, or make it the scenario.
func Start(ctx context.Context, cfg Config) (*Gateway, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	teeLog()
	p, err := begin(ctx, &cfg)
	if err != nil {
		return nil, fmt.Errorf("gateway %s did not start: %w", cfg.Name, err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("gateway %s did not start: %w", cfg.Name, err), p.end())
	}
	g := &Gateway{cfg: cfg, address: l.Addr().String(), client: &http.Client{Transport: &http.Transport{}}}
	g.process.Store(p)
	g.server = &http.Server{Handler: http.HandlerFunc(g.serve), ReadHeaderTimeout: 10 * time.Second}
	g.serving.Go(func() { _ = g.server.Serve(l) }) // it returns when the server is closed, and says so
	return g, nil
}

// Name is the gateway's name.
func (g *Gateway) Name() string { return g.cfg.Name }

// Kind is how it looks services up.
func (g *Gateway) Kind() Kind { return g.cfg.Kind }

// Config is what the gateway was made of, defaults filled in.
func (g *Gateway) Config() Config { return g.cfg }

// URL is where a service is asked for: "http://127.0.0.1:port/greeter". Any client may ask; each request is in the
// history.
func (g *Gateway) URL(service string) string { return "http://" + g.address + "/" + service }

// Registry is the registry that it reads. It is another one after Restart.
func (g *Gateway) Registry() *registry.Registry { return g.process.Load().reg }

// Resolve looks a service up as a request would, and passes nothing on.
func (g *Gateway) Resolve(ctx context.Context, service string) history.Resolve {
	return g.resolve(ctx, service).resolve
}

func (g *Gateway) resolve(ctx context.Context, service string) *answer {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, g.URL(service), nil)
	if err != nil {
		return &answer{err: err, resolve: history.Resolve{Service: service, Endpoints: []history.Endpoint{},
			Err: err.Error()}}
	}
	return g.process.Load().route.ask(r)
}

// Call makes one real HTTP request for a service to the gateway, and returns what became of it.
func (g *Gateway) Call(ctx context.Context, service string) history.Request {
	return g.call(ctx, &exchange{service: service})
}

// CallEach looks a service up once, and makes one request to each endpoint the answer names, in order of their IDs:
// what Call would meet at random. Where the answer names none, it makes the one request that fails.
func (g *Gateway) CallEach(ctx context.Context, service string) (history.Resolve, []history.Request) {
	a := g.resolve(ctx, service)
	if len(a.resolve.Endpoints) == 0 {
		return a.resolve, []history.Request{g.call(ctx, &exchange{service: service, answer: a})}
	}
	var requests []history.Request
	for _, e := range a.resolve.Endpoints {
		requests = append(requests, g.call(ctx, &exchange{service: service, answer: a, only: e.Address}))
	}
	return a.resolve, requests
}

// headerCall is how the gateway's server knows the requests that Call made.
const headerCall = "Ghostroute-Call"

func (g *Gateway) call(ctx context.Context, x *exchange) history.Request {
	x.began = g.cfg.History.Now()
	id := g.calls.add(x)
	defer g.calls.take(id)

	status, err := g.get(ctx, x.service, id)
	out := x.outcome(&g.cfg)
	out.Status = status
	if err != nil {
		out.Err = err.Error()
	}
	g.cfg.History.Add(history.Event{Who: g.cfg.Name, Request: &out})
	return out
}

func (g *Gateway) get(ctx context.Context, service, id string) (status int, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, g.URL(service), nil)
	if err != nil {
		return 0, err
	}
	r.Header.Set(headerCall, id)
	resp, err := g.client.Do(r)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, errors.Join(err, resp.Body.Close())
}

// serve is one request at the gateway's server.
func (g *Gateway) serve(w http.ResponseWriter, r *http.Request) {
	x := g.calls.take(r.Header.Get(headerCall))
	r.Header.Del(headerCall)
	if x == nil { // not one of Call's: a browser's, a curl's
		x = &exchange{service: serviceOf(r), began: g.cfg.History.Now()}
		defer func() {
			out := x.outcome(&g.cfg)
			g.cfg.History.Add(history.Event{Who: g.cfg.Name, Request: &out})
		}()
	}
	p, release := g.process.Load().hold()
	if p == nil {
		http.Error(w, "gateway "+g.cfg.Name+" has ended", http.StatusServiceUnavailable)
		return
	}
	defer release()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(p.ctx, cancel)()
	x.run(w, r.WithContext(ctx), p, g.cfg.Retry)
}

// serviceOf is the service that a request asks for: its path's first segment.
func serviceOf(r *http.Request) string {
	service, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	return service
}

// Restart is the gateway's process started again: its registry's connection is closed and opened anew, and what it
// remembered is gone. It keeps its name and its address. Requests under way fail.
func (g *Gateway) Restart(ctx context.Context) error {
	g.life.Lock()
	defer g.life.Unlock()
	if g.closed {
		return fmt.Errorf("gateway %s did not start again: it was closed", g.cfg.Name)
	}
	if err := g.process.Load().end(); err != nil {
		return err
	}
	p, err := begin(ctx, &g.cfg)
	if err != nil {
		return fmt.Errorf("gateway %s did not start again: %w", g.cfg.Name, err)
	}
	g.process.Store(p)
	return nil
}

// Close ends the gateway, and returns when all has ended that can be awaited (KnownLeaks has the rest). It may be
// called again.
func (g *Gateway) Close() error {
	g.life.Lock()
	defer g.life.Unlock()
	g.closed = true
	err := g.server.Close()
	g.serving.Wait()
	err = errors.Join(err, g.process.Load().end())
	g.client.CloseIdleConnections()
	return err
}

// AwaitWatching waits until a go-micro gateway is listening to the registry: its router has listed the services and
// read each, and the watches of its router and, once it has been asked for a service, of its cache are established.
// The cache's begins up to 100 ms after the first read (a pause of go-micro's), and what changes in between it
// misses until its TTL ends. An each-request gateway has nothing to wait for.
func (g *Gateway) AwaitWatching(ctx context.Context) error {
	if err := g.process.Load().route.awaitWatching(ctx); err != nil {
		return fmt.Errorf("gateway %s is not listening to its registry: %w", g.cfg.Name, err)
	}
	return nil
}

// calls are the requests that Call has made and the server has not yet seen.
type calls struct {
	mu   sync.Mutex
	last int
	open map[string]*exchange
}

func (c *calls) add(x *exchange) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		c.open = map[string]*exchange{}
	}
	c.last++
	id := strconv.Itoa(c.last)
	c.open[id] = x
	return id
}

func (c *calls) take(id string) *exchange {
	c.mu.Lock()
	defer c.mu.Unlock()
	x := c.open[id]
	delete(c.open, id)
	return x
}
