// Package relay passes gRPC on from one address to another, whatever the methods, byte for byte, and lets its owner see
// it, change what goes with it and hold it: what an interceptor does inside a program, outside of one that cannot be
// changed.
//
// A connection is passed on by a connection of its own, and they end together: who is behind a relay meets what it
// would meet without one.
package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"slices"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"ghostroute/harness/link"
)

// Config is a relay. Listener, To and Streams are required.
type Config struct {
	Listener net.Listener
	To       link.Target // dials what is behind, once for each connection
	// Dial are options of gRPC to what is behind, beside the relay's own: TLS, an authority. nil is plain text.
	Dial []grpc.DialOption
	// Streams says whether a method, "/etcdserverpb.Watch/Watch", has more than one request and one answer: the bytes
	// do not tell.
	Streams func(method string) bool

	// Call stands around a call of one request and one answer, which pass sends on; nil is pass alone. Its error is
	// the caller's.
	Call func(ctx context.Context, c *Call, pass func(context.Context) error) error
	// Stream is asked of each stream, before it is passed on, what to do to it; nil is nothing.
	Stream func(ctx context.Context, s *Stream)
}

// Call is a call on its way.
type Call struct {
	Method  string
	From    string      // the address that called
	MD      metadata.MD // what goes with the request
	Request []byte
	Answer  []byte      // once it was passed on
	Header  metadata.MD // what goes before the answer
}

// Stream is a stream on its way. Up and Down are called for each message, one at a time and in order, before it is
// passed on; nil does nothing.
type Stream struct {
	Method string
	MD     metadata.MD                // what goes with it
	Up     func(message []byte)       // to what is behind
	Down   func(message []byte) error // to who called; an error ends the stream
	Ended  func()                     // when it is over
}

// Relay is a relay that runs. Close ends it.
type Relay struct {
	cfg    Config
	server *grpc.Server
	ctx    context.Context // ends when it closes
	cancel context.CancelFunc
	work   sync.WaitGroup
}

// Start starts a relay, which takes the listener over.
func Start(cfg Config) *Relay {
	r := &Relay{cfg: cfg}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.server = grpc.NewServer(grpc.ForceServerCodecV2(codec{}), grpc.UnknownServiceHandler(r.handle),
		grpc.MaxRecvMsgSize(math.MaxInt32), grpc.MaxSendMsgSize(math.MaxInt32), grpc.WaitForHandlers(true),
		grpc.MaxConcurrentStreams(math.MaxUint32),
		// what is behind has its own opinion of pings
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 1, PermitWithoutStream: true}))
	d := &doors{Listener: cfg.Listener, relay: r, open: make(chan net.Conn)}
	r.work.Go(d.accept)
	r.work.Go(func() { _ = r.server.Serve(d) }) // it ends by Close
	return r
}

// Addr is where it listens.
func (r *Relay) Addr() string { return r.cfg.Listener.Addr().String() }

// Close ends every connection and returns when nothing of the relay runs any more. It may be called again.
func (r *Relay) Close() {
	r.cancel()
	r.server.Stop()
	_ = r.cfg.Listener.Close() // it was closed before, unless Serve had not begun
	r.work.Wait()
}

// Drain takes no new connections and tells those that there are to make no new calls: what is under way goes on, as
// long as it likes, and Close ends it. It does not wait.
func (r *Relay) Drain() { r.work.Go(r.server.GracefulStop) }

// handle is every method.
func (r *Relay) handle(_ any, down grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(down)
	p, _ := peer.FromContext(down.Context())
	at, ok := p.Addr.(door)
	if !ok {
		return status.Errorf(codes.Internal, "the relay does not know the connection from %s", p.Addr)
	}
	md, _ := metadata.FromIncomingContext(down.Context())
	md = md.Copy()
	// gRPC's own, which it sets anew; the rest is the caller's.
	for _, own := range []string{":authority", "content-type", "user-agent", "grpc-accept-encoding"} {
		delete(md, own)
	}
	if r.cfg.Streams(method) {
		return r.stream(down, at.up, &Stream{Method: method, MD: md})
	}
	return r.call(down, at.up, &Call{Method: method, From: at.String(), MD: md})
}

// call passes one request and its answer on.
func (r *Relay) call(down grpc.ServerStream, up *grpc.ClientConn, c *Call) error {
	var request frame
	if err := down.RecvMsg(&request); err != nil {
		return err
	}
	c.Request = request.b
	var trailer metadata.MD
	pass := func(ctx context.Context) error {
		var answer frame
		err := up.Invoke(metadata.NewOutgoingContext(ctx, c.MD), c.Method, &frame{c.Request}, &answer,
			grpc.Header(&c.Header), grpc.Trailer(&trailer))
		c.Answer = answer.b
		delete(c.Header, "content-type")
		return err
	}
	var err error
	if r.cfg.Call != nil {
		err = r.cfg.Call(down.Context(), c, pass)
	} else {
		err = pass(down.Context())
	}
	down.SetTrailer(trailer)
	if len(c.Header) > 0 {
		if herr := down.SetHeader(c.Header); herr != nil && err == nil {
			err = herr
		}
	}
	if err != nil {
		return err
	}
	return down.SendMsg(&frame{c.Answer})
}

var bothWays = &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}

// stream passes a stream on.
func (r *Relay) stream(down grpc.ServerStream, cc *grpc.ClientConn, s *Stream) error {
	ctx, stop := context.WithCancel(down.Context())
	defer stop()
	if r.cfg.Stream != nil {
		r.cfg.Stream(ctx, s)
	}
	if s.Ended != nil {
		defer s.Ended()
	}
	up, err := cc.NewStream(metadata.NewOutgoingContext(ctx, s.MD), bothWays, s.Method)
	if err != nil {
		return err
	}
	r.work.Go(func() {
		if err := passOn(down, up, s.Up); errors.Is(err, io.EOF) {
			_ = up.CloseSend()
		} else {
			stop()
		}
	})
	for first := true; ; first = false {
		var m frame
		err := up.RecvMsg(&m)
		if first {
			if header, herr := up.Header(); herr == nil {
				header = header.Copy()
				delete(header, "content-type")
				_ = down.SetHeader(header) // fails only where the caller is gone
			}
		}
		if err != nil {
			down.SetTrailer(up.Trailer())
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if s.Down != nil {
			if err := s.Down(m.b); err != nil {
				return err
			}
		}
		if err := down.SendMsg(&m); err != nil {
			return err
		}
	}
}

// passOn passes messages on until there are no more.
func passOn(from grpc.ServerStream, to grpc.ClientStream, see func([]byte)) error {
	for {
		var m frame
		if err := from.RecvMsg(&m); err != nil {
			return err
		}
		if see != nil {
			see(m.b)
		}
		if err := to.SendMsg(&m); err != nil {
			return err
		}
	}
}

// StreamsOf says which methods of these services are streams.
func StreamsOf(services ...grpc.ServiceDesc) func(method string) bool {
	var streams []string
	for _, s := range services {
		for _, m := range s.Streams {
			streams = append(streams, fmt.Sprintf("/%s/%s", s.ServiceName, m.StreamName))
		}
	}
	return func(method string) bool { return slices.Contains(streams, method) }
}

// upstream is gRPC over a connection that is there already. It is never dialled anew.
func upstream(conn net.Conn, options []grpc.DialOption) (*grpc.ClientConn, error) {
	given := make(chan net.Conn, 1)
	given <- conn
	own := []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDisableServiceConfig(), grpc.WithIdleTimeout(0),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
			select {
			case c := <-given:
				return c, nil
			default:
				return nil, errors.New("the connection has ended")
			}
		}),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(codec{}), grpc.MaxCallRecvMsgSize(math.MaxInt32),
			grpc.MaxCallSendMsgSize(math.MaxInt32))}
	return grpc.NewClient("passthrough:///behind", append(own, options...)...)
}
