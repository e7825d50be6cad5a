package fresh_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/proxy/grpcproxy"

	"ghostroute/harness/etcd"
	"ghostroute/harness/history"
	"ghostroute/harness/proxy/fresh"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stand is a KV server of this package between a client and real members, with a tap on what it asks them.
type stand struct {
	*require.Assertions
	ctx     context.Context // ends after five minutes
	cluster *etcd.Cluster
	direct  *clientv3.Client // of the members
	tap     *tap
	server  pb.KVServer
	kv      pb.KVClient      // asks it over gRPC
	up      *clientv3.Client // it asks the members through
	end     func()           // ends the server, and waits for it

	compacted int64 // by change
}

func boot(ctx context.Context, t *testing.T, members int) *etcd.Cluster {
	t.Helper()
	c, err := etcd.Start(ctx, etcd.Config{Members: members, Dir: t.TempDir(), History: history.New()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func start(t *testing.T, members int, o fresh.RevalidateOptions) *stand {
	t.Helper()
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	s := &stand{Assertions: require.New(t), ctx: ctx, cluster: boot(ctx, t, members), tap: &tap{}}
	s.direct = s.cluster.Members[0].Client()

	var err error
	s.up, err = clientv3.New(clientv3.Config{Endpoints: []string{s.cluster.Members[0].Endpoint()}, Logger: zap.NewNop(),
		DialOptions: []grpc.DialOption{grpc.WithUnaryInterceptor(s.tap.unary)}})
	s.NoError(err)
	own, end := context.WithCancel(context.Background())
	server, done := fresh.NewRevalidate(own, s.up, o)
	s.server = server
	l, err := net.Listen("tcp", "127.0.0.1:0")
	s.NoError(err)
	g := grpc.NewServer()
	pb.RegisterKVServer(g, server)
	served := make(chan error, 1)
	go func() { served <- g.Serve(l) }()
	conn, err := grpc.NewClient("passthrough:///"+l.Addr().String(),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	s.NoError(err)
	s.kv = pb.NewKVClient(conn)
	s.end = sync.OnceFunc(func() {
		end()
		<-done
	})
	t.Cleanup(func() {
		s.end()
		conn.Close()
		g.Stop()
		require.NoError(t, <-served)
		s.up.Close()
	})
	return s
}

// as is the context of a call with this token.
func (s *stand) as(token string) context.Context {
	return metadata.AppendToOutgoingContext(s.ctx, "token", token)
}

func (s *stand) put(key, value string) int64 {
	r, err := s.direct.Put(s.ctx, key, value)
	s.NoError(err)
	return r.Header.Revision
}

// get reads a key serializably.
func (s *stand) get(ctx context.Context, key string) (string, error) {
	r, err := s.kv.Range(ctx, &pb.RangeRequest{Key: []byte(key), Serializable: true})
	if err != nil || len(r.Kvs) == 0 {
		return "", err
	}
	return string(r.Kvs[0].Value), nil
}

func (s *stand) value(key string) string {
	v, err := s.get(s.ctx, key)
	s.NoError(err)
	return v
}

// read is what one of several readers came to.
type read struct {
	value string
	err   error
}

// readers starts n readers of a key.
func (s *stand) readers(ctx context.Context, n int, key string) <-chan read {
	all := make(chan read, n)
	for range n {
		go func() {
			v, err := s.get(ctx, key)
			all <- read{v, err}
		}()
	}
	return all
}

// waiting waits until so many readers wait for an answer.
func (s *stand) waiting(n int) {
	s.Eventually(func() bool { return fresh.Waiting(s.server) == n }, 10*time.Second, time.Millisecond)
}

// tap stands where a proxy's client asks its members, as etcdmain's interceptor does. It keeps each Range, and can hold
// the answer of one.
type tap struct {
	mu    sync.Mutex
	asked []*pb.RangeRequest
	gate  *gate
	fail  error // instead of asking
}

// gate holds the next answer.
type gate struct {
	caught chan struct{} // closed when an answer stands at it
	open   chan struct{} // to be closed
	ended  chan struct{} // closed when the one it held was given up
}

func (t *tap) hold() *gate {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.gate = &gate{caught: make(chan struct{}), open: make(chan struct{}), ended: make(chan struct{})}
	return t.gate
}

// refuse has every Range fail with err; nil ends that.
func (t *tap) refuse(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fail = err
}

// ranges are what was asked since it was called last.
func (t *tap) ranges() []*pb.RangeRequest {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := t.asked
	t.asked = nil
	return all
}

func (t *tap) unary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker,
	opts ...grpc.CallOption) error {
	r, ok := req.(*pb.RangeRequest)
	if !ok {
		return grpcproxy.AuthUnaryClientInterceptor(ctx, method, req, reply, cc, invoker, opts...)
	}
	t.mu.Lock()
	t.asked = append(t.asked, proto.Clone(r).(*pb.RangeRequest))
	g, fail := t.gate, t.fail
	t.gate = nil
	t.mu.Unlock()
	if fail != nil {
		return fail
	}
	err := grpcproxy.AuthUnaryClientInterceptor(ctx, method, req, reply, cc, invoker, opts...)
	if g != nil {
		close(g.caught)
		select {
		case <-g.open:
		case <-ctx.Done():
			close(g.ended)
			return ctx.Err()
		}
	}
	return err
}
