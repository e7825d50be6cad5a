// Package record relays a client's gRPC to a proxy or a member, byte for byte, and keeps what it read: which of its
// reads a proxy may answer from its cache.
package record

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"path"
	"strings"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"
)

// bytes is a gRPC message as it came.
type bytes struct{ b []byte }

// codec passes messages on unread. It has proto's name, so that the content type stays what it is.
type codec struct{}

func (codec) Marshal(v any) ([]byte, error) { return v.(*bytes).b, nil }
func (codec) Name() string                  { return "proto" }
func (codec) Unmarshal(b []byte, v any) error {
	v.(*bytes).b = append([]byte(nil), b...)
	return nil
}

// Relay is one that runs. Close ends it.
type Relay struct {
	listener net.Listener
	server   *grpc.Server
	upstream *grpc.ClientConn
	served   chan struct{}

	mu    sync.Mutex
	calls map[string]int
	reads map[string]*Read
	order []*Read
}

// Read is a request, and how often it was made.
type Read struct {
	Request *pb.RangeRequest
	Times   int
	Clients []string // the hosts that made it
}

// Listen relays what comes to listen, in plain text, to an endpoint; secure is for the way there, nil for none.
func Listen(listen, to string, secure *tls.Config) (*Relay, error) {
	scheme, host, found := strings.Cut(to, "://")
	if !found {
		host = to
	}
	creds := insecure.NewCredentials()
	if secure != nil && scheme != "http" {
		creds = credentials.NewTLS(secure)
	}
	upstream, err := grpc.NewClient("passthrough:///"+host, grpc.WithTransportCredentials(creds),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(codec{}), grpc.MaxCallRecvMsgSize(math.MaxInt32),
			grpc.MaxCallSendMsgSize(math.MaxInt32)))
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, errors.Join(err, upstream.Close())
	}
	r := &Relay{listener: l, upstream: upstream, served: make(chan struct{}), calls: map[string]int{},
		reads: map[string]*Read{}}
	r.server = grpc.NewServer(grpc.ForceServerCodec(codec{}), grpc.UnknownServiceHandler(r.relay),
		grpc.MaxRecvMsgSize(math.MaxInt32), grpc.MaxSendMsgSize(math.MaxInt32))
	go func() {
		defer close(r.served)
		_ = r.server.Serve(l) // it ends by Close
	}()
	return r, nil
}

// Addr is where it listens.
func (r *Relay) Addr() string { return r.listener.Addr().String() }

// Close ends the relay, and every call that passes it.
func (r *Relay) Close() error {
	r.server.Stop()
	<-r.served
	return r.upstream.Close()
}

// Calls are how often each method was called, by its name: "Range", "Watch". A stream is one call.
func (r *Relay) Calls() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.calls)
}

// Reads are the reads that were made, each once, in the order in which they were first made.
func (r *Relay) Reads() []Read {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]Read, 0, len(r.order))
	for _, read := range r.order {
		all = append(all, *read)
	}
	return all
}

func (r *Relay) relay(_ any, down grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(down)
	r.mu.Lock()
	r.calls[path.Base(method)]++
	r.mu.Unlock()
	in, _ := metadata.FromIncomingContext(down.Context())
	out := in.Copy()
	for _, name := range []string{":authority", "content-type", "user-agent", "grpc-accept-encoding"} {
		delete(out, name) // they are of this hop
	}
	ctx, stop := context.WithCancel(metadata.NewOutgoingContext(down.Context(), out))
	defer stop()
	up, err := r.upstream.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method)
	if err != nil {
		return err
	}
	// A server's handler may not wait for its client's next message, which ends with the handler: the goroutine ends when
	// the stream does, and the server waits for no more than that.
	go func() {
		for {
			var m bytes
			switch err := down.RecvMsg(&m); {
			case errors.Is(err, io.EOF):
				_ = up.CloseSend()
				return
			case err != nil:
				stop()
				return
			}
			if method == pb.KV_Range_FullMethodName {
				r.note(down.Context(), m.b)
			}
			if up.SendMsg(&m) != nil {
				return // what is wrong is told to whoever receives
			}
		}
	}()
	if h, err := up.Header(); err == nil {
		_ = down.SetHeader(h)
	}
	for {
		var m bytes
		if err := up.RecvMsg(&m); err != nil {
			down.SetTrailer(up.Trailer())
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if err := down.SendMsg(&m); err != nil {
			return fmt.Errorf("the client went: %w", err)
		}
	}
}

func (r *Relay) note(ctx context.Context, b []byte) {
	var req pb.RangeRequest
	if proto.Unmarshal(b, &req) != nil || len(req.Key) == 0 {
		return // the other end refuses it
	}
	client := ""
	if p, ok := peer.FromContext(ctx); ok {
		client, _, _ = net.SplitHostPort(p.Addr.String())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	read := r.reads[string(b)]
	if read == nil {
		read = &Read{Request: &req}
		r.reads[string(b)] = read
		r.order = append(r.order, read)
	}
	read.Times++
	for _, c := range read.Clients {
		if c == client {
			return
		}
	}
	read.Clients = append(read.Clients, client)
}
