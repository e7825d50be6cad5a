package balancer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"ghostroute/harness/history"
)

// dialTimeout is after what time a backend that neither takes nor refuses a connection counts as dead. The kernel
// answers on loopback within microseconds, whatever the backend is busy with.
const dialTimeout = time.Second

// place dials, for a new connection of client, the backend that the schedule says. One that refuses is skipped.
func (b *Balancer) place(ctx context.Context, client string) (net.Conn, error) {
	select {
	case b.turn <- struct{}{}:
		defer func() { <-b.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	b.placed++
	before := b.schedule
	refused := make([]error, len(b.backends))
	for {
		i, ok := b.choose(client, refused)
		if !ok {
			break
		}
		proxy := b.backends[i]
		conn, err := dial(ctx, proxy.Addr)
		if err == nil {
			if b.sticky {
				b.homes[client] = i
			}
			return b.pin(conn, client, proxy.Name, b.placed), nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		refused[i] = err
		b.record(history.Conn{Op: "refuse", Client: client, Proxy: proxy.Name, N: b.placed, Detail: err.Error()})
	}
	b.schedule = before // a connection that reaches no backend does not advance the schedule
	err := fmt.Errorf("no backend takes connection %d, of %s: %s", b.placed, client, b.why(refused))
	b.record(history.Conn{Op: "close", Client: client, N: b.placed, Detail: err.Error()})
	return nil, err
}

// choose is the backend that a new connection of client goes to, of those that have not refused it yet.
func (b *Balancer) choose(client string, refused []error) (int, bool) {
	if home, ok := b.homes[client]; ok && refused[home] == nil && b.backends[home].Weight > 0 {
		return home, true
	}
	return b.schedule.next(func(i int) bool { return refused[i] != nil })
}

// why says of each backend what kept a connection from it.
func (b *Balancer) why(refused []error) string {
	if len(refused) == 0 {
		return "it has none"
	}
	reasons := make([]string, len(refused))
	for i, err := range refused {
		reasons[i] = b.backends[i].Name + " has weight 0"
		if err != nil {
			reasons[i] = fmt.Sprintf("%s refused (%v)", b.backends[i].Name, err)
		}
	}
	return strings.Join(reasons, ", ")
}

// dial connects to a backend.
func dial(ctx context.Context, addr string) (*net.TCPConn, error) {
	dialer := net.Dialer{Timeout: dialTimeout}
	conn, err := dialer.DialContext(ctx, "tcp4", addr)
	var op *net.OpError
	if errors.As(err, &op) {
		return nil, op.Err // "connect: connection refused", without the addresses
	}
	if err != nil {
		return nil, err
	}
	return conn.(*net.TCPConn), nil
}
