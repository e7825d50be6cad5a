// Package relay passes gRPC on from one address to another, frame by frame, and lets its owner see it, change what goes
// with it and hold it: what an interceptor does inside a program, outside of one that cannot be changed.
//
// A connection is passed on by a connection of its own, stream by stream under the same number, and they end together:
// who is behind a relay meets what it would meet without one, the other's windows and settings too. So a relay costs a
// read and a write of a frame. A server and a client of gRPC in its place cost four hand-overs between goroutines for a
// call, which is four times the time (BenchmarkRelay).
package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"

	"ghostroute/harness/link"
)

// Config is a relay. Listener and To are required.
type Config struct {
	Listener net.Listener
	To       link.Target // dials what is behind, once for each connection
	// Secure is for the way to what is behind, nil for plain text, and Authority is what that is called: "" leaves the
	// caller's word for it.
	Secure    *tls.Config
	Authority string
	// Open is told of each call as it begins, and says what is to be done with it; nil does nothing.
	Open func(*Call)
}

// Relay is a relay that runs. Close ends it.
type Relay struct {
	cfg    Config
	ctx    context.Context // ends when it closes
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu      sync.Mutex
	pairs   map[*pair]bool
	drained bool
}

// Start starts a relay, which takes the listener over.
func Start(cfg Config) *Relay {
	r := &Relay{cfg: cfg, pairs: map[*pair]bool{}}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.work.Go(r.accept)
	return r
}

// Addr is where it listens.
func (r *Relay) Addr() string { return r.cfg.Listener.Addr().String() }

// Close ends every connection and returns when nothing of the relay runs any more. It may be called again.
func (r *Relay) Close() {
	r.cancel()
	_ = r.cfg.Listener.Close() // it fails where it was drained
	r.work.Wait()
}

// Drain takes no new connections and tells those that there are to make no new calls: what is under way goes on, as
// long as it likes, and Close ends it. It does not wait.
func (r *Relay) Drain() {
	_ = r.cfg.Listener.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drained = true
	for p := range r.pairs {
		p.drain()
	}
}

// retryAccept is how long a relay rests when the system has no file descriptor left for a connection.
const retryAccept = 5 * time.Millisecond

func (r *Relay) accept() {
	for {
		c, err := r.cfg.Listener.Accept()
		switch {
		case err == nil:
			r.work.Go(func() { r.serve(c) })
		case errors.Is(err, net.ErrClosed):
			return
		default:
			select {
			case <-time.After(retryAccept):
			case <-r.ctx.Done():
				return
			}
		}
	}
}

// serve passes a connection on; one that cannot be is closed.
func (r *Relay) serve(c net.Conn) {
	defer c.Close()
	behind, err := r.dial()
	if err != nil {
		return
	}
	defer behind.Close()
	p := newPair(&r.cfg, c, behind)
	defer context.AfterFunc(r.ctx, p.close)()
	r.mu.Lock()
	drained := r.drained
	r.pairs[p] = true
	r.mu.Unlock()
	if !drained {
		p.run()
	}
	r.mu.Lock()
	delete(r.pairs, p)
	r.mu.Unlock()
}

func (r *Relay) dial() (net.Conn, error) {
	c, err := r.cfg.To(r.ctx)
	if err != nil || r.cfg.Secure == nil {
		return c, err
	}
	secured := r.cfg.Secure.Clone()
	secured.NextProtos = []string{"h2"}
	if secured.ServerName == "" {
		secured.ServerName, _, _ = net.SplitHostPort(r.cfg.Authority)
	}
	return tls.Client(c, secured), nil // it shakes hands when it is first written to
}
