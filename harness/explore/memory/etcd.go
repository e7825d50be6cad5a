package memory

import (
	"context"
	"errors"

	"go.uber.org/zap"
	"google.golang.org/grpc"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/pkg/v3/adt"
	"go.etcd.io/etcd/pkg/v3/traceutil"
	"go.etcd.io/etcd/server/v3/etcdserver/txn"
	"go.etcd.io/etcd/server/v3/lease"
	"go.etcd.io/etcd/server/v3/storage/mvcc"

	"ghostroute/harness/explore/plan"
)

// call is what a call carries in its context beside the request: who asks, and whether it is held.
type call struct {
	who      string
	hold     plan.Point
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
	m           *Machine
	member      int
	proxy       string
}

func through[Req, Resp any](u *upstream, ctx context.Context, r Req, ask func(context.Context, int, Req) (Resp, error)) (Resp, error) {
	c := ctx.Value(callKey{}).(*call)
	var none Resp
	if !c.wait(plan.AtRequest) {
		return none, rpctypes.ErrGRPCTimeout
	}
	if u.m.unlinked[u.proxy+"-"+name('m', u.member)] {
		return none, rpctypes.ErrGRPCTimeout
	}
	resp, err := ask(ctx, u.member, r)
	if errors.Is(err, rpctypes.ErrGRPCTimeout) {
		return none, err // what never comes is not held on its way
	}
	if !c.wait(plan.AtAnswer) {
		return none, rpctypes.ErrGRPCTimeout
	}
	return resp, err
}

func (u *upstream) Range(ctx context.Context, r *pb.RangeRequest, _ ...grpc.CallOption) (*pb.RangeResponse, error) {
	return through(u, ctx, r, u.m.rangeOn)
}

func (u *upstream) Put(ctx context.Context, r *pb.PutRequest, _ ...grpc.CallOption) (*pb.PutResponse, error) {
	return through(u, ctx, r, u.m.putOn)
}

func (u *upstream) DeleteRange(ctx context.Context, r *pb.DeleteRangeRequest, _ ...grpc.CallOption) (*pb.DeleteRangeResponse, error) {
	return through(u, ctx, r, u.m.deleteOn)
}

func (u *upstream) Txn(ctx context.Context, r *pb.TxnRequest, _ ...grpc.CallOption) (*pb.TxnResponse, error) {
	return through(u, ctx, r, u.m.txnOn)
}

func (u *upstream) Compact(ctx context.Context, r *pb.CompactionRequest, _ ...grpc.CallOption) (*pb.CompactionResponse, error) {
	return through(u, ctx, r, u.m.compactOn)
}

// The calls below are what a member's API server and EtcdServer do, with etcd's own code where it can be had.

// permitted asks the auth store of member i, which lags with it.
func (m *Machine) permitted(ctx context.Context, i int) error {
	if who := ctx.Value(callKey{}).(*call).who; m.plan.Auth && m.c.members[i].forbidden[who] {
		return rpctypes.ErrGRPCPermissionDenied
	}
	return nil
}

// quorum stands for raft: a member that is cut off waits for it until the request times out.
func (m *Machine) quorum(i int) error {
	if m.c.members[i].cut {
		return rpctypes.ErrGRPCTimeout
	}
	return nil
}

func (m *Machine) rangeOn(ctx context.Context, i int, r *pb.RangeRequest) (*pb.RangeResponse, error) {
	if !r.Serializable {
		if err := m.quorum(i); err != nil {
			return nil, err
		}
	}
	if err := m.permitted(ctx, i); err != nil {
		return nil, err
	}
	resp, _, err := txn.Range(ctx, zap.NewNop(), m.c.members[i].kv, r, true)
	return resp, rpcError(err)
}

func (m *Machine) putOn(ctx context.Context, i int, r *pb.PutRequest) (*pb.PutResponse, error) {
	if err := m.quorum(i); err != nil {
		return nil, err
	}
	if err := m.permitted(ctx, i); err != nil {
		return nil, err
	}
	return apply(m.c, i, func(x *member) (*pb.PutResponse, error) {
		resp, _, err := txn.Put(ctx, zap.NewNop(), x.lessor, x.kv, r)
		return resp, rpcError(err)
	})
}

func (m *Machine) deleteOn(ctx context.Context, i int, r *pb.DeleteRangeRequest) (*pb.DeleteRangeResponse, error) {
	if err := m.quorum(i); err != nil {
		return nil, err
	}
	if err := m.permitted(ctx, i); err != nil {
		return nil, err
	}
	return apply(m.c, i, func(x *member) (*pb.DeleteRangeResponse, error) {
		resp, _, err := txn.DeleteRange(ctx, zap.NewNop(), x.kv, r)
		return resp, rpcError(err)
	})
}

func (m *Machine) txnOn(ctx context.Context, i int, r *pb.TxnRequest) (*pb.TxnResponse, error) {
	for _, ops := range [][]*pb.RequestOp{r.Success, r.Failure} {
		if _, _, twice := checkIntervals(ops); twice {
			return nil, rpctypes.ErrGRPCDuplicateKey
		}
	}
	if !txn.IsTxnReadonly(r) || !txn.IsTxnSerializable(r) {
		if err := m.quorum(i); err != nil {
			return nil, err
		}
	}
	if err := m.permitted(ctx, i); err != nil {
		return nil, err
	}
	run := func(x *member) (*pb.TxnResponse, error) {
		resp, _, err := txn.Txn(ctx, zap.NewNop(), r, true, x.kv, x.lessor, false)
		return resp, rpcError(err)
	}
	if txn.IsTxnReadonly(r) {
		return run(m.c.members[i])
	}
	return apply(m.c, i, run)
}

func (m *Machine) compactOn(_ context.Context, i int, r *pb.CompactionRequest) (*pb.CompactionResponse, error) {
	if err := m.quorum(i); err != nil {
		return nil, err
	}
	return apply(m.c, i, func(x *member) (*pb.CompactionResponse, error) {
		if _, err := x.kv.Compact(traceutil.TODO(), r.Revision); err != nil {
			return nil, rpcError(err)
		}
		return &pb.CompactionResponse{Header: &pb.ResponseHeader{Revision: x.kv.Rev()}}, nil
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

// checkIntervals is the API server's, which it does not export (etcdserver/api/v3rpc/key.go).
func checkIntervals(reqs []*pb.RequestOp) (puts map[string]bool, dels adt.IntervalTree, twice bool) {
	puts, dels = map[string]bool{}, adt.NewIntervalTree()
	for _, r := range reqs {
		if d := r.GetRequestDeleteRange(); d != nil {
			iv := adt.NewStringAffinePoint(string(d.Key))
			if len(d.RangeEnd) != 0 {
				iv = adt.NewStringAffineInterval(string(d.Key), string(d.RangeEnd))
			}
			dels.Insert(iv, nil)
		}
	}
	taken := func(k string) bool { return dels.Intersects(adt.NewStringAffinePoint(k)) }
	for _, r := range reqs {
		t := r.GetRequestTxn()
		if t == nil {
			continue
		}
		a, da, badA := checkIntervals(t.Success)
		b, db, badB := checkIntervals(t.Failure)
		if badA || badB {
			return puts, dels, true
		}
		for k := range a {
			if puts[k] || taken(k) {
				return puts, dels, true
			}
			puts[k] = true
		}
		for k := range b {
			if puts[k] && !a[k] || taken(k) {
				return puts, dels, true
			}
			puts[k] = true
		}
		dels.Union(da, adt.NewStringAffineInterval("\x00", ""))
		dels.Union(db, adt.NewStringAffineInterval("\x00", ""))
	}
	for _, r := range reqs {
		if p := r.GetRequestPut(); p != nil {
			if k := string(p.Key); puts[k] || taken(k) {
				return puts, dels, true
			} else {
				puts[k] = true
			}
		}
	}
	return puts, dels, false
}
