package proxy

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/proxy/grpcproxy"
	"go.etcd.io/etcd/server/v3/proxy/grpcproxy/cache"
)

// patchedKV is grpcproxy/kv.go with the places open that the patches change: upstream's cache, converters and order of
// things, line for line, so that a variant differs from stock in what it names and in nothing else.
// TestPatchedKVIsStock holds it to that.
type patchedKV struct {
	kv    clientv3.KV
	cache func(ctx context.Context) cache.Cache // the cache that answers this caller
	all   func() []cache.Cache                  // every cache a write must clear
	after bool                                  // clear once more when etcd has acknowledged the write

	pb.UnsafeKVServer
}

// oneCache makes a patchedKV with one cache for every caller, as stock has.
func oneCache(w *Wiring, c cache.Cache) *patchedKV {
	return &patchedKV{
		kv:    w.Client.KV,
		cache: func(context.Context) cache.Cache { return c },
		all:   func() []cache.Cache { return []cache.Cache{c} },
	}
}

func (p *patchedKV) invalidate(key, end []byte) {
	for _, c := range p.all() {
		c.Invalidate(key, end)
	}
}

func (p *patchedKV) Range(ctx context.Context, r *pb.RangeRequest) (*pb.RangeResponse, error) {
	c := p.cache(ctx)
	if r.Serializable {
		resp, err := c.Get(r)
		switch {
		case err == nil:
			return resp, nil
		case err == cache.ErrCompacted:
			return nil, err
		}
	}
	resp, err := p.kv.Do(ctx, grpcproxy.RangeRequestToOp(r))
	if err != nil {
		return nil, err
	}
	req := proto.Clone(r).(*pb.RangeRequest)
	req.Serializable = true
	gresp := (*pb.RangeResponse)(resp.Get())
	c.Add(req, gresp)
	return gresp, nil
}

func (p *patchedKV) RangeStream(*pb.RangeRequest, pb.KV_RangeStreamServer) error {
	return status.Error(codes.Unimplemented, "RangeStream is not supported by the gRPC proxy")
}

func (p *patchedKV) Put(ctx context.Context, r *pb.PutRequest) (*pb.PutResponse, error) {
	p.invalidate(r.Key, nil)
	resp, err := p.kv.Do(ctx, grpcproxy.PutRequestToOp(r))
	if p.after {
		p.invalidate(r.Key, nil)
	}
	return (*pb.PutResponse)(resp.Put()), err
}

func (p *patchedKV) DeleteRange(ctx context.Context, r *pb.DeleteRangeRequest) (*pb.DeleteRangeResponse, error) {
	p.invalidate(r.Key, r.RangeEnd)
	resp, err := p.kv.Do(ctx, grpcproxy.DelRequestToOp(r))
	if p.after {
		p.invalidate(r.Key, r.RangeEnd)
	}
	return (*pb.DeleteRangeResponse)(resp.Del()), err
}

func (p *patchedKV) Txn(ctx context.Context, r *pb.TxnRequest) (*pb.TxnResponse, error) {
	opResp, err := p.kv.Do(ctx, grpcproxy.TxnRequestToOp(r))
	if err != nil {
		return nil, err
	}
	resp := opResp.Txn()
	for _, cmp := range r.Compare {
		p.invalidate(cmp.Key, cmp.RangeEnd)
	}
	ops := r.Failure
	if resp.Succeeded {
		ops = r.Success
	}
	for i, one := range resp.Responses {
		switch tv := one.Response.(type) {
		case *pb.ResponseOp_ResponsePut:
			p.invalidate(ops[i].GetRequestPut().Key, nil)
		case *pb.ResponseOp_ResponseDeleteRange:
			d := ops[i].GetRequestDeleteRange()
			p.invalidate(d.Key, d.RangeEnd)
		case *pb.ResponseOp_ResponseRange:
			req := proto.Clone(ops[i].GetRequestRange()).(*pb.RangeRequest)
			req.Serializable = true
			p.cache(ctx).Add(req, tv.ResponseRange)
		}
	}
	return (*pb.TxnResponse)(resp), nil
}

func (p *patchedKV) Compact(ctx context.Context, r *pb.CompactionRequest) (*pb.CompactionResponse, error) {
	var opts []clientv3.CompactOption
	if r.Physical {
		opts = append(opts, clientv3.WithCompactPhysical())
	}
	resp, err := p.kv.Compact(ctx, r.Revision, opts...)
	if err == nil {
		for _, c := range p.all() {
			c.Compact(r.Revision)
		}
	}
	return (*pb.CompactionResponse)(resp), err
}
