package link

import (
	"context"
	"fmt"
	"net"
)

// Target dials what is behind a link, once for each connection. It must return when ctx ends.
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
