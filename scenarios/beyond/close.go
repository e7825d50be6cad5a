package beyond

import (
	"context"
	"fmt"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"ghostroute/harness/hangup"
	"ghostroute/harness/history"
)

// closeRefused has n clients of a user watch a/, which is refused, and b/, and closes each while it asks for b/: its
// watcher has handled the refusal by then, and not heard yet that the refused watch is over.
func (b *Bench) closeRefused(user string, n int) error {
	addrs, err := b.Addresses(user)
	if err != nil {
		return err
	}
	one, err := b.client(user)
	if err != nil {
		return err
	}
	login, err := one.Authenticate(b.ctx, user, user) // once: a password takes a tenth of a second of a processor
	if err != nil {
		return err
	}
	var all sync.WaitGroup
	errs := make(chan error, n)
	for range n {
		all.Go(func() { errs <- b.closeOne(user, login.Token, addrs) })
	}
	all.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *Bench) closeOne(user, token string, addrs []string) error {
	second := &secondAsk{first: make(chan struct{})}
	c, err := clientv3.New(clientv3.Config{Endpoints: addrs, Token: token, DialTimeout: dialTimeout,
		Logger: zap.NewNop(), DialOptions: []grpc.DialOption{grpc.WithChainStreamInterceptor(second.stream)}})
	if err != nil {
		return fmt.Errorf("%s was not connected: %w", user, err)
	}
	began := b.History.Now()
	closed := make(chan error, 1)
	second.close = func() { go func() { closed <- hangup.Closed(c) }() }
	ctx, cancel := context.WithCancel(b.ctx)
	defer cancel()
	var asked sync.WaitGroup
	asked.Go(func() { c.Watch(ctx, "a/", clientv3.WithPrefix()) })
	asked.Go(func() {
		select {
		case <-second.first:
			c.Watch(ctx, "b/", clientv3.WithPrefix())
		case <-ctx.Done():
		}
	})
	w := &history.Write{Began: began, Op: "close"}
	select {
	case err = <-closed:
	case <-b.ctx.Done():
		return context.Cause(b.ctx)
	}
	if err != nil {
		w.Err = err.Error()
		if err := c.ActiveConnection().Close(); err != nil {
			return err
		}
	}
	cancel()
	asked.Wait()
	b.History.Add(history.Event{Who: user, Write: w})
	return nil
}

// closedOnce is that a client was closed.
func closedOnce(e history.Event) bool { return e.Write != nil && e.Write.Op == "close" }

// secondAsk holds a client's requests for watches on their way out, in the goroutine that sends them: the first until
// the second waits to be sent, and the second until the client is being closed and the first, which was refused, has
// had the time to say that it is over. Nothing announces that a goroutine waits to send to a channel: hence pause.
type secondAsk struct {
	close func()
	first chan struct{} // closed when the first is being sent
	mu    sync.Mutex
	n     int
}

const pause = 10 * time.Millisecond

func (s *secondAsk) stream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string,
	streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	cs, err := streamer(ctx, desc, cc, method, opts...)
	return &secondAskStream{cs, s}, err
}

type secondAskStream struct {
	grpc.ClientStream
	of *secondAsk
}

func (s *secondAskStream) SendMsg(m any) error {
	if r, ok := m.(*pb.WatchRequest); ok && r.GetCreateRequest() != nil {
		s.of.mu.Lock()
		s.of.n++
		n := s.of.n
		s.of.mu.Unlock()
		switch n {
		case 1:
			close(s.of.first)
			time.Sleep(pause)
		case 2:
			s.of.close()
			<-s.Context().Done()
			time.Sleep(pause)
		}
	}
	return s.ClientStream.SendMsg(m)
}
