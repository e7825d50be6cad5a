package model_test

import (
	"context"
	"errors"

	"go.uber.org/zap"
	"google.golang.org/grpc"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/pkg/v3/traceutil"
	"go.etcd.io/etcd/server/v3/etcdserver/txn"
	"go.etcd.io/etcd/server/v3/lease"
	"go.etcd.io/etcd/server/v3/storage/mvcc"

	"ghostroute/harness/explore/plan"
	"ghostroute/harness/explore/wire"
)

// call is what a call carries in its context beside the request: which client asks, and whether it is held.
type call struct {
	client   string
	hold     plan.Point
	peek     bool          // it looks into the cache, and goes no further
	upstream bool          // it reached the gate between proxy and member: no hit
	arrived  chan struct{} // closed when it is held
	release  chan bool     // true: go on; false: it is lost
}

type callKey struct{}

func (c *call) context() context.Context {
	return context.WithValue(context.Background(), callKey{}, c)
}

// wait holds the call at a point if it is to be held there; false means that it is lost.
func (c *call) wait(at plan.Point) bool {
	c.upstream = true
	if c.hold != at {
		return true
	}
	close(c.arrived)
	return <-c.release
}

// upstream is the KV service of one member as a proxy sees it, with a gate before it and one behind.
type upstream struct {
	pb.KVClient // nil: the calls below are all that are made
	m           *machine
	member      int
	proxy       string
}

func (u *upstream) link() string { return u.proxy + "-" + plan.Name('m', u.member) }

func through[Req, Resp any](
	u *upstream, ctx context.Context, r Req, ask func(*memberKV, context.Context, Req) (Resp, error),
) (Resp, error) {
	c := ctx.Value(callKey{}).(*call)
	var none Resp
	if c.peek || !c.wait(plan.AtRequest) {
		return none, rpctypes.ErrGRPCTimeout
	}
	if u.m.unlinked[u.link()] {
		return none, rpctypes.ErrGRPCTimeout
	}
	resp, err := ask(&memberKV{m: u.m, i: u.member}, ctx, r)
	if errors.Is(err, rpctypes.ErrGRPCTimeout) {
		return none, err // what never comes is not held on its way
	}
	if !c.wait(plan.AtAnswer) {
		return none, rpctypes.ErrGRPCTimeout
	}
	return resp, err
}

func (u *upstream) Range(ctx context.Context, r *pb.RangeRequest, _ ...grpc.CallOption) (*pb.RangeResponse, error) {
	return through(u, ctx, r, (*memberKV).Range)
}

func (u *upstream) Put(ctx context.Context, r *pb.PutRequest, _ ...grpc.CallOption) (*pb.PutResponse, error) {
	return through(u, ctx, r, (*memberKV).Put)
}

func (u *upstream) DeleteRange(
	ctx context.Context, r *pb.DeleteRangeRequest, _ ...grpc.CallOption,
) (*pb.DeleteRangeResponse, error) {
	return through(u, ctx, r, (*memberKV).DeleteRange)
}

func (u *upstream) Txn(ctx context.Context, r *pb.TxnRequest, _ ...grpc.CallOption) (*pb.TxnResponse, error) {
	return through(u, ctx, r, (*memberKV).Txn)
}

func (u *upstream) Compact(
	ctx context.Context, r *pb.CompactionRequest, _ ...grpc.CallOption,
) (*pb.CompactionResponse, error) {
	return through(u, ctx, r, (*memberKV).Compact)
}

// memberKV is what a member's API server and EtcdServer do, with etcd's own code where it can be had.
type memberKV struct {
	pb.KVServer // nil: the calls below are all that are made
	m           *machine
	i           int
}

// permitted asks the auth store of member i, which lags with it.
func (m *machine) permitted(ctx context.Context, i int) error {
	if client := ctx.Value(callKey{}).(*call).client; m.plan.Auth && m.c.members[i].forbidden[client] {
		return rpctypes.ErrGRPCPermissionDenied
	}
	return nil
}

// quorum stands for raft: a member that is cut off waits for it until the request times out.
func (m *machine) quorum(i int) error {
	if m.c.members[i].cut {
		return rpctypes.ErrGRPCTimeout
	}
	return nil
}

func (x *memberKV) Range(ctx context.Context, r *pb.RangeRequest) (*pb.RangeResponse, error) {
	if !r.Serializable {
		if err := x.m.quorum(x.i); err != nil {
			return nil, err
		}
	}
	if err := x.m.permitted(ctx, x.i); err != nil {
		return nil, err
	}
	resp, _, err := txn.Range(ctx, zap.NewNop(), x.m.c.members[x.i].kv, r, true)
	return resp, rpcError(err)
}

func (x *memberKV) Put(ctx context.Context, r *pb.PutRequest) (*pb.PutResponse, error) {
	if err := x.m.quorum(x.i); err != nil {
		return nil, err
	}
	if err := x.m.permitted(ctx, x.i); err != nil {
		return nil, err
	}
	return apply(x.m.c, x.i, func(y *member) (*pb.PutResponse, error) {
		resp, _, err := txn.Put(ctx, zap.NewNop(), y.lessor, y.kv, r)
		return resp, rpcError(err)
	})
}

func (x *memberKV) DeleteRange(ctx context.Context, r *pb.DeleteRangeRequest) (*pb.DeleteRangeResponse, error) {
	if err := x.m.quorum(x.i); err != nil {
		return nil, err
	}
	if err := x.m.permitted(ctx, x.i); err != nil {
		return nil, err
	}
	return apply(x.m.c, x.i, func(y *member) (*pb.DeleteRangeResponse, error) {
		resp, _, err := txn.DeleteRange(ctx, zap.NewNop(), y.kv, r)
		return resp, rpcError(err)
	})
}

func (x *memberKV) Txn(ctx context.Context, r *pb.TxnRequest) (*pb.TxnResponse, error) {
	if wire.Duplicate(r) {
		return nil, rpctypes.ErrGRPCDuplicateKey
	}
	if !txn.IsTxnReadonly(r) || !txn.IsTxnSerializable(r) {
		if err := x.m.quorum(x.i); err != nil {
			return nil, err
		}
	}
	if err := x.m.permitted(ctx, x.i); err != nil {
		return nil, err
	}
	run := func(y *member) (*pb.TxnResponse, error) {
		resp, _, err := txn.Txn(ctx, zap.NewNop(), r, true, y.kv, y.lessor, false)
		return resp, rpcError(err)
	}
	if txn.IsTxnReadonly(r) {
		return run(x.m.c.members[x.i])
	}
	return apply(x.m.c, x.i, run)
}

func (x *memberKV) Compact(_ context.Context, r *pb.CompactionRequest) (*pb.CompactionResponse, error) {
	if err := x.m.quorum(x.i); err != nil {
		return nil, err
	}
	return apply(x.m.c, x.i, func(y *member) (*pb.CompactionResponse, error) {
		if _, err := y.kv.Compact(traceutil.TODO(), r.Revision); err != nil {
			return nil, rpcError(err)
		}
		return &pb.CompactionResponse{Header: &pb.ResponseHeader{Revision: y.kv.Rev()}}, nil
	})
}

// rpcError is what the API server makes of a member's error (etcdserver/api/v3rpc/util.go, togRPCError).
func rpcError(err error) error {
	switch {
	case errors.Is(err, mvcc.ErrCompacted):
		return rpctypes.ErrGRPCCompacted
	case errors.Is(err, mvcc.ErrFutureRev):
		return rpctypes.ErrGRPCFutureRev
	case errors.Is(err, lease.ErrLeaseNotFound):
		return rpctypes.ErrGRPCLeaseNotFound
	case errors.Is(err, lease.ErrLeaseExists):
		return rpctypes.ErrGRPCLeaseExist
	}
	return err
}
