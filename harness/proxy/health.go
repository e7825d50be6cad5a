package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/proxy/grpcproxy"
)

// Health is what the proxy answers at /health, where balancers look: nil, or an error with what it says. It asks a
// member, by the proxy's own client and past its cache (grpcproxy/health.go, HandleHealth), for a second at most.
// With authentication on it is never healthy, for that client is nobody. A proxy inside this process has no listener
// for it: upstream's handler is called without one.
func (p *Proxy) Health(ctx context.Context) error {
	var client *clientv3.Client
	p.mu.Lock()
	runs := p.run != nil && !p.cfg.Variant.Relays
	if runs {
		client = p.run.client
	}
	p.mu.Unlock()
	says := &page{status: http.StatusOK}
	switch {
	case runs && p.outside != nil:
		return healthyAt(ctx, "http://"+p.outside.inner.Addr()+"/health")
	case client == nil:
		return fmt.Errorf("%s has no /health: it is stopped, or relays bytes", p.cfg.Name)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "/health", nil)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	grpcproxy.HandleHealth(p.cfg.Logger, mux, client)
	mux.ServeHTTP(says, req)
	return healthy(says.status, says.String())
}

// healthyAt asks a health page.
func healthyAt(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	return errors.Join(healthy(resp.StatusCode, resp.Status), resp.Body.Close())
}

func healthy(status int, says string) error {
	if status != http.StatusOK {
		return fmt.Errorf("/health answers %d: %s", status, says)
	}
	return nil
}

// page is what a handler writes.
type page struct {
	bytes.Buffer
	status int
}

func (p *page) Header() http.Header    { return http.Header{} }
func (p *page) WriteHeader(status int) { p.status = status }
