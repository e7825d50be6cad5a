package link

import (
	"context"
	"fmt"
	"net"
)

// Target dials what is behind a link, once for each connection. It must return when ctx ends. From(ctx) is the address
// that dialled the link.
type Target func(ctx context.Context) (net.Conn, error)

// To is the target at one address: To("tcp", "127.0.0.1:2379"), To("unix", "/path/of/a.sock").
func To(network, address string) Target {
	return func(ctx context.Context) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil {
			return nil, fmt.Errorf("nothing reached at %s: %w", address, err)
		}
		return conn, nil
	}
}

type fromKey struct{}

// From is the address that dialled the link, of the ctx that a Target is given; "" of another.
func From(ctx context.Context) string {
	from, _ := ctx.Value(fromKey{}).(string)
	return from
}
