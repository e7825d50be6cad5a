package gateway

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"github.com/micro/go-micro/v2/api/handler"
	microhttp "github.com/micro/go-micro/v2/api/handler/http"
	"github.com/micro/go-micro/v2/client"

	"ghostroute/harness/registry"
)

// process is what a restart of the gateway replaces.
type process struct {
	ctx     context.Context // its life
	kill    context.CancelFunc
	reg     *registry.Registry
	route   *route
	handler http.Handler // go-micro's

	transport *http.Transport // to instances

	mu     sync.Mutex
	active sync.WaitGroup // requests
	ended  bool
	once   sync.Once
	err    error
}

// begin connects, and then makes the router, as go-micro's begins to read when it is made.
func begin(ctx context.Context, cfg *Config) (*process, error) {
	reg, err := registry.New(ctx, cfg.Registry)
	if err != nil {
		return nil, err
	}
	if err := reg.Connect(ctx); err != nil {
		return nil, errors.Join(err, reg.Close())
	}
	p := &process{reg: reg, route: newRoute(cfg, reg), transport: shipped.Clone()}
	p.ctx, p.kill = context.WithCancel(context.Background())
	p.handler = microhttp.NewHandler(
		handler.WithRouter(p.route),
		handler.WithClient(client.DefaultClient), // the http handler uses none, and would make itself one
	)
	return p, nil
}

// hold keeps the process until release. It is nil when the process has ended.
func (p *process) hold() (held *process, release func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return nil, nil
	}
	p.active.Add(1)
	return p, p.active.Done
}

// end ends the process once, and returns when it has ended.
func (p *process) end() error {
	p.once.Do(func() {
		p.mu.Lock()
		p.ended = true
		p.mu.Unlock()
		p.kill()
		p.active.Wait()
		p.err = errors.Join(p.route.Close(), p.reg.Close())
		p.transport.CloseIdleConnections() // two goroutines each
	})
	return p.err
}

// shipped is what every gateway's transport is made like.
var shipped = http.DefaultTransport.(*http.Transport)

// go-micro's handler dials through net/http/httputil, and that through http.DefaultTransport, of which a process has
// one; set here, no goroutine can be reading it meanwhile.
func init() { http.DefaultTransport = transports{} }

// transports sends a gateway's requests through the gateway's own transport, as if it were a process of its own, and
// every other request through the one that was shipped. With one for all, a gateway that ended either left connections
// to instances open or closed the others' too.
type transports struct{}

func (transports) RoundTrip(r *http.Request) (*http.Response, error) {
	if x, ok := r.Context().Value(exchangeKey{}).(*exchange); ok {
		return x.transport.RoundTrip(r)
	}
	return shipped.RoundTrip(r)
}

func (transports) CloseIdleConnections() { shipped.CloseIdleConnections() }
