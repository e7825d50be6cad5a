package proxy

import (
	"context"
	"fmt"
)

// Reach waits until the proxy's client has a connection to a member, or with yes false until it has noticed that it has
// none. gRPC would wait a second or more before it dials again a member that refused; here it need not. A stopped proxy
// and one without a client of its own, as etcd's L4 gateway, are not waited for.
func (p *Proxy) Reach(ctx context.Context, yes bool) error {
	p.mu.Lock()
	r := p.run
	p.mu.Unlock()
	if r == nil || r.reach == nil {
		return nil
	}
	if err := r.reach(ctx, yes); err != nil {
		return fmt.Errorf("proxy %s: %w", p.cfg.Name, err)
	}
	return nil
}
