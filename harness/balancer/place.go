package balancer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"ghostroute/harness/history"
)

// place opens a new connection of client to the backend that the scheduler chooses.
func (b *Balancer) place(ctx context.Context, client string) (net.Conn, error) {
	select {
	case b.turn <- struct{}{}:
		defer func() { <-b.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	b.placed++
	to, refused, err := b.scheduler.place(ctx, client)
	for _, r := range refused {
		b.record(history.Conn{Op: "refuse", Client: client, Proxy: b.backends[r.backend].Name, N: b.placed,
			Detail: r.why.Error()})
	}
	if err == nil {
		return b.pin(to, client, b.placed), nil
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	why := err.Error()
	if errors.Is(err, errNobody) {
		why = b.why(refused)
	}
	err = fmt.Errorf("no backend takes connection %d, of %s: %s", b.placed, client, why)
	b.record(history.Conn{Op: "close", Client: client, N: b.placed, Detail: err.Error()})
	return nil, err
}

// why says of each backend what kept a connection from it.
func (b *Balancer) why(refused []refusal) string {
	if len(b.backends) == 0 {
		return "it has none"
	}
	reasons := make([]string, len(b.backends))
	for i, backend := range b.backends {
		reasons[i] = backend.Name + " has weight 0"
		if n := slices.IndexFunc(refused, func(r refusal) bool { return r.backend == i }); n >= 0 {
			reasons[i] = fmt.Sprintf("%s refused (%v)", backend.Name, refused[n].why)
		}
	}
	return strings.Join(reasons, ", ")
}

// wrr is our own scheduler: LVS's weighted round robin.
type wrr struct {
	backends []Backend
	schedule schedule
	sticky   bool           // see SetSticky
	homes    map[string]int // while sticky: client → backend
}

func newWRR(backends []Backend) *wrr {
	w := &wrr{backends: slices.Clone(backends), homes: map[string]int{}}
	w.schedule = newSchedule(weights(backends))
	return w
}

// place dials the backend that the schedule says. One that refuses is skipped.
func (w *wrr) place(ctx context.Context, client string) (to placed, refused []refusal, err error) {
	before := w.schedule
	for {
		i, ok := w.choose(client, refused)
		if !ok {
			break
		}
		conn, err := dial(ctx, nil, w.backends[i].Addr)
		if err == nil {
			if w.sticky {
				w.homes[client] = i
			}
			return placed{conn, i, conn.LocalAddr().String()}, refused, nil
		}
		if ctx.Err() != nil {
			return placed{}, refused, err
		}
		refused = append(refused, refusal{i, err})
	}
	w.schedule = before // a connection that reaches no backend does not advance the schedule
	return placed{}, refused, errNobody
}

// choose is the backend that a new connection of client goes to, of those that have not refused it yet.
func (w *wrr) choose(client string, refused []refusal) (int, bool) {
	skip := func(i int) bool { return slices.ContainsFunc(refused, func(r refusal) bool { return r.backend == i }) }
	if home, ok := w.homes[client]; ok && !skip(home) && w.backends[home].Weight > 0 {
		return home, true
	}
	return w.schedule.next(skip)
}

func (w *wrr) highest() int { return MaxWeight }

func (w *wrr) weigh(weights []int) error {
	for i, weight := range weights {
		w.backends[i].Weight = weight
	}
	w.schedule = newSchedule(weights)
	return nil
}

func (w *wrr) stick(on bool) error {
	w.sticky = on
	if !on {
		clear(w.homes)
	}
	return nil
}

func (w *wrr) drain(int) error { return nil }

func (w *wrr) end() error { return nil }

// dialTimeout is after what time a backend that neither takes nor refuses a connection counts as dead. The kernel
// answers on loopback within microseconds, whatever the backend is busy with.
const dialTimeout = time.Second

// dial connects to a backend, from an address or with nil from whichever.
func dial(ctx context.Context, from net.Addr, addr string) (*net.TCPConn, error) {
	dialer := net.Dialer{Timeout: dialTimeout, LocalAddr: from}
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
