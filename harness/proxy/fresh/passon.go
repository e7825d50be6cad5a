package fresh

import (
	"context"
	"sync/atomic"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/proxy/grpcproxy"
)

// passOn is a KV server that keeps nothing.
type passOn struct {
	kv clientv3.KV
	pb.UnsafeKVServer
}

func (p passOn) Range(ctx context.Context, r *pb.RangeRequest) (*pb.RangeResponse, error) {
	resp, err := p.kv.Do(ctx, grpcproxy.RangeRequestToOp(r))
	return (*pb.RangeResponse)(resp.Get()), err
}

func (p passOn) RangeStream(*pb.RangeRequest, pb.KV_RangeStreamServer) error {
	return status.Error(codes.Unimplemented, "RangeStream is not supported by the gRPC proxy")
}

func (p passOn) Put(ctx context.Context, r *pb.PutRequest) (*pb.PutResponse, error) {
	resp, err := p.kv.Do(ctx, grpcproxy.PutRequestToOp(r))
	return (*pb.PutResponse)(resp.Put()), err
}

func (p passOn) DeleteRange(ctx context.Context, r *pb.DeleteRangeRequest) (*pb.DeleteRangeResponse, error) {
	resp, err := p.kv.Do(ctx, grpcproxy.DelRequestToOp(r))
	return (*pb.DeleteRangeResponse)(resp.Del()), err
}

func (p passOn) Txn(ctx context.Context, r *pb.TxnRequest) (*pb.TxnResponse, error) {
	resp, err := p.kv.Do(ctx, grpcproxy.TxnRequestToOp(r))
	return (*pb.TxnResponse)(resp.Txn()), err
}

func (p passOn) Compact(ctx context.Context, r *pb.CompactionRequest) (*pb.CompactionResponse, error) {
	var opts []clientv3.CompactOption
	if r.Physical {
		opts = append(opts, clientv3.WithCompactPhysical())
	}
	resp, err := p.kv.Compact(ctx, r.Revision, opts...)
	return (*pb.CompactionResponse)(resp), err
}

// off passes every read on.
type off struct {
	passOn
	passed atomic.Int64
}

func (s *off) Range(ctx context.Context, r *pb.RangeRequest) (*pb.RangeResponse, error) {
	s.passed.Add(1)
	return s.passOn.Range(ctx, r)
}

func (s *off) stats() stats { return stats{passed: map[string]int64{"off": s.passed.Load()}} }
