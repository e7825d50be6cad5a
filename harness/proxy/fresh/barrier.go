package fresh

import (
	"context"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// barrier asks the members for the present revision on behalf of everybody who waits for it. One question is under way
// at a time. Who comes while it is shares the next one: an answer to a question that was put before somebody came says
// nothing about what was acknowledged until then. It is how etcd itself batches ReadIndex (server/etcdserver/read).
type barrier struct {
	ask func() (*pb.ResponseHeader, error)

	mu    sync.Mutex
	next  *round // the round of those who come now; nil where nobody waits for one to begin
	under bool   // a goroutine is at it
	ended bool
	work  sync.WaitGroup
}

// round is one question, and its answer once done is closed.
type round struct {
	done   chan struct{}
	header *pb.ResponseHeader
	err    error
}

var errEnded = status.Error(codes.Unavailable, "the proxy is ending")

// join is the round of those who come now. Nobody need wait for it.
func (b *barrier) join() *round {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		r := &round{done: make(chan struct{}), err: errEnded}
		close(r.done)
		return r
	}
	if b.next == nil {
		b.next = &round{done: make(chan struct{})}
	}
	if !b.under {
		b.under = true
		b.work.Go(b.run)
	}
	return b.next
}

// run puts questions until nobody waits. Who waited for the next while one failed is told so too: it would be put to
// the same members.
func (b *barrier) run() {
	for r := b.take(); r != nil; r = b.take() {
		r.header, r.err = b.ask()
		close(r.done)
		if r.err == nil {
			continue
		}
		b.mu.Lock()
		if b.next != nil {
			b.next.err = r.err
			close(b.next.done)
			b.next = nil
		}
		b.mu.Unlock()
	}
}

func (b *barrier) take() *round {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.next
	b.next, b.under = nil, r != nil
	return r
}

// wait waits for a round that begins from now on.
func (b *barrier) wait(ctx context.Context) (*pb.ResponseHeader, error) {
	r := b.join()
	select {
	case <-r.done:
		return r.header, r.err
	case <-ctx.Done():
		return nil, status.FromContextError(ctx.Err()).Err()
	}
}

// end refuses new rounds and waits for the one under way, which must end with its own context.
func (b *barrier) end() {
	b.mu.Lock()
	b.ended = true
	b.mu.Unlock()
	b.work.Wait()
}
