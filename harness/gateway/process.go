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
	p := &process{reg: reg, route: newRoute(cfg, reg)}
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
		closeIdle()
	})
	return p.err
}

// closeIdle closes the connections to instances that no request uses. go-micro's handler dials through
// net/http/httputil, and that through http.DefaultTransport, which every gateway of the process shares and which
// keeps a connection for 90 s: the others' gateways dial again. It is not needed for truth – an instance that ends
// closes its connections, and the transport then dials – but without it two goroutines remain for each.
func closeIdle() {
	if t, ok := http.DefaultTransport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}
