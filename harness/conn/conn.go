// Package conn waits for connections.
package conn

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
)

// Ready waits until a connection is ready. gRPC waits a second before it dials again an address that refused, and
// longer each time; Ready has it dial at once, because its caller knows that a server listens there now.
func Ready(ctx context.Context, c *grpc.ClientConn) error {
	return until(ctx, c, func(s connectivity.State) bool { return s == connectivity.Ready })
}

// Lost waits until a connection has noticed that it is not ready.
func Lost(ctx context.Context, c *grpc.ClientConn) error {
	return until(ctx, c, func(s connectivity.State) bool { return s != connectivity.Ready })
}

func until(ctx context.Context, c *grpc.ClientConn, done func(connectivity.State) bool) error {
	for s := c.GetState(); !done(s); s = c.GetState() {
		if s == connectivity.Shutdown {
			return fmt.Errorf("the connection to %s was closed", c.Target())
		}
		if s != connectivity.Ready {
			c.Connect()
			c.ResetConnectBackoff()
		}
		if !c.WaitForStateChange(ctx, s) {
			return fmt.Errorf("the connection to %s is %s: %w", c.Target(), s, context.Cause(ctx))
		}
	}
	return nil
}
