package balancer

import (
	"context"
	"fmt"
	"net"

	"ghostroute/harness/link"
)

// VIP is the balancer's address as one client sees it: a link between the two, with a link's faults. A connection that
// a fault keeps out is not placed.
type VIP struct {
	*link.Link
	balancer *Balancer
	client   string
}

// VIP returns the client's VIP, which listens from the first call on.
//
// A connection is new when the balancer takes it, some time after the client's connect returned. A caller that needs
// the order of two connections must make the second after the first was answered, or after its "open" stands in the
// history.
func (b *Balancer) VIP(client string) (*VIP, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, fmt.Errorf("the balancer gives %s no VIP: it is closed", client)
	}
	if v, ok := b.vips[client]; ok {
		return v, nil
	}
	l, err := link.Listen(client+"→vip", func(ctx context.Context) (net.Conn, error) { return b.place(ctx, client) })
	if err != nil {
		return nil, err
	}
	v := &VIP{Link: l, balancer: b, client: client}
	b.vips[client] = v
	return v, nil
}

// Close ends the VIP with its connections. The client's next VIP has another address.
func (v *VIP) Close() error {
	err := v.Link.Close()
	v.balancer.mu.Lock()
	defer v.balancer.mu.Unlock()
	if v.balancer.vips[v.client] == v {
		delete(v.balancer.vips, v.client)
	}
	return err
}
