package guard_test

import (
	"context"
	"net"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/emptypb"

	"ghostroute/harness/guard"
)

// server answers every call, of whatever service, with nothing, and a grant with the lease mine. It has what it was
// sent, as it left the guard.
type server struct {
	mu    sync.Mutex
	asked []string // methods, one for each message
}

func (s *server) handle(_ any, stream grpc.ServerStream) error {
	var answer any = &emptypb.Empty{}
	if method, _ := grpc.MethodFromServerStream(stream); method == pb.Lease_LeaseGrant_FullMethodName {
		answer = &pb.LeaseGrantResponse{ID: mine}
	}
	for {
		if err := stream.RecvMsg(&emptypb.Empty{}); err != nil {
			return nil // its client has said all
		}
		if err := stream.SendMsg(answer); err != nil {
			return err
		}
	}
}

func (s *server) note(method string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, method)
}

// options are a client's interceptors behind the guard's.
func (s *server) options() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any, c *grpc.ClientConn,
			call grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			s.note(method)
			return call(ctx, method, req, reply, c, opts...)
		}),
		grpc.WithChainStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, c *grpc.ClientConn, method string,
			open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			stream, err := open(ctx, desc, c, method, opts...)
			return below{stream, s, method}, err
		}),
	}
}

// below is a stream behind the guard's.
type below struct {
	grpc.ClientStream
	server *server
	method string
}

func (s below) SendMsg(m any) error {
	s.server.note(s.method)
	return s.ClientStream.SendMsg(m)
}

// took is what the server was asked since the last call.
func (s *server) took() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.asked = nil }()
	return s.asked
}

// guarded is a connection under a guard of own, to a server of its own; the lease mine has been granted over it.
func guarded(t *testing.T) (*guard.Guard, *grpc.ClientConn, *server) {
	t.Helper()
	s := &server{}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	g := grpc.NewServer(grpc.UnknownServiceHandler(s.handle))
	served := make(chan error, 1)
	go func() { served <- g.Serve(l) }()
	t.Cleanup(func() {
		g.Stop()
		require.NoError(t, <-served)
	})
	under := guard.New(own)
	c, err := grpc.NewClient(l.Addr().String(), slices.Concat(under.Options(), s.options(),
		[]grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())})...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	_, err = pb.NewLeaseClient(c).LeaseGrant(t.Context(), &pb.LeaseGrantRequest{TTL: 60})
	require.NoError(t, err)
	require.Equal(t, []string{pb.Lease_LeaseGrant_FullMethodName}, s.took())
	return under, c, s
}
