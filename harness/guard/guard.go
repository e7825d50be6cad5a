// Package guard keeps etcd clients to the keys that begin with a prefix, on a cluster that is somebody else's. It
// stands under the client, at its connection: whatever uses the client, a call that would read or change another key,
// another's lease or the cluster itself is refused and never sent. A read is refused, too: a proxy keeps the answer,
// and that may be somebody's ghost tomorrow.
package guard

import (
	"context"
	"fmt"
	"slices"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"ghostroute/harness/keys"
)

// Guard is what clients of one prefix share. It is safe for use by many goroutines.
type Guard struct {
	prefix string

	mu     sync.Mutex
	leases map[int64]bool // that its clients were granted
}

// New is a guard of the keys that begin with prefix.
func New(prefix string) *Guard { return &Guard{prefix: prefix, leases: map[int64]bool{}} }

// Prefix is what every key begins with.
func (g *Guard) Prefix() string { return g.prefix }

// Options put the guard into a client that is made with them. etcd's own interceptors stay.
func (g *Guard) Options() []grpc.DialOption {
	return []grpc.DialOption{grpc.WithChainUnaryInterceptor(g.unary), grpc.WithChainStreamInterceptor(g.stream)}
}

// Leases are those that its clients were granted, ended or not.
func (g *Guard) Leases() (all []int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for id := range g.leases {
		all = append(all, id)
	}
	slices.Sort(all)
	return all
}

func (g *Guard) unary(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, call grpc.UnaryInvoker,
	opts ...grpc.CallOption) error {
	if err := g.refuse(method, req); err != nil {
		return err
	}
	err := call(ctx, method, req, reply, conn, opts...)
	if granted, ok := reply.(*pb.LeaseGrantResponse); ok && err == nil {
		g.mu.Lock()
		g.leases[granted.ID] = true
		g.mu.Unlock()
	}
	return err
}

// refuse says why a request is not sent; nil where it may be.
func (g *Guard) refuse(method string, req any) error {
	why := ""
	switch r := req.(type) {
	case *pb.RangeRequest:
		if len(r.Key) > 0 { // etcd refuses one without a key: by how, a member is told from a proxy
			why = g.outside("read", r.Key, r.RangeEnd)
		}
	case *pb.PutRequest:
		why = g.outside("written", r.Key, nil)
		if why == "" && r.Lease != 0 {
			why = g.lease(r.Lease)
		}
	case *pb.DeleteRangeRequest:
		why = g.outside("deleted", r.Key, r.RangeEnd)
	case *pb.TxnRequest:
		why = g.txn(r)
	case *pb.WatchRequest:
		if c := r.GetCreateRequest(); c != nil {
			why = g.outside("watched", c.Key, c.RangeEnd)
		}
	case *pb.LeaseRevokeRequest:
		why = g.lease(r.ID)
	case *pb.LeaseKeepAliveRequest:
		why = g.lease(r.ID)
	case *pb.LeaseTimeToLiveRequest: // it may ask for the lease's keys
		why = g.lease(r.ID)
	case *pb.LeaseGrantRequest, *pb.StatusRequest, *pb.MemberListRequest, *pb.AuthenticateRequest:
	default:
		why = "it is about the whole cluster, which is not the harness's own"
	}
	if why == "" {
		return nil
	}
	return status.Error(codes.PermissionDenied, fmt.Sprintf("%s was not sent: %s", method, why))
}

func (g *Guard) outside(done string, key, end []byte) string {
	if keys.Within(string(key), string(end), g.prefix) {
		return ""
	}
	what := fmt.Sprintf("the key %q", key)
	if len(end) > 0 {
		what = fmt.Sprintf("the range from %q to %q", key, end)
	}
	return fmt.Sprintf("%s is not to be %s, for it is not all under %s, which alone is this run's own", what, done,
		g.prefix)
}

func (g *Guard) lease(id int64) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.leases[id] {
		return ""
	}
	return fmt.Sprintf("the lease %x was granted to somebody else", id)
}

// txn looks at all that a transaction compares and may do: a comparison alone makes a proxy forget.
func (g *Guard) txn(r *pb.TxnRequest) string {
	for _, c := range r.Compare {
		if why := g.outside("compared", c.Key, c.RangeEnd); why != "" {
			return why
		}
	}
	for _, op := range slices.Concat(r.Success, r.Failure) {
		var req any
		switch {
		case op.GetRequestRange() != nil:
			req = op.GetRequestRange()
		case op.GetRequestPut() != nil:
			req = op.GetRequestPut()
		case op.GetRequestDeleteRange() != nil:
			req = op.GetRequestDeleteRange()
		case op.GetRequestTxn() != nil:
			req = op.GetRequestTxn()
		}
		if err := g.refuse("Txn", req); err != nil {
			return status.Convert(err).Message()
		}
	}
	return ""
}

// stream lets watches and keep-alives through, and looks at each of their requests.
func (g *Guard) stream(ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string,
	open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	if method != pb.Watch_Watch_FullMethodName && method != pb.Lease_LeaseKeepAlive_FullMethodName {
		return nil, g.refuse(method, nil)
	}
	ctx, cancel := context.WithCancel(ctx)
	s, err := open(ctx, desc, conn, method, opts...)
	if err != nil {
		cancel()
		return nil, err
	}
	context.AfterFunc(s.Context(), cancel)
	return &guarded{ClientStream: s, guard: g, method: method, cancel: cancel}, nil
}

// guarded is a stream that ends with the first request that is refused: etcd's watcher takes no notice of what Send
// says, and would wait for an answer for ever.
type guarded struct {
	grpc.ClientStream
	guard  *Guard
	method string
	cancel context.CancelFunc

	mu      sync.Mutex
	refused error
}

func (s *guarded) SendMsg(m any) error {
	err := s.guard.refuse(s.method, m)
	if err == nil {
		return s.ClientStream.SendMsg(m)
	}
	s.mu.Lock()
	s.refused = err
	s.mu.Unlock()
	s.cancel()
	return err
}

func (s *guarded) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refused != nil {
		return s.refused
	}
	return err
}
