package proxy

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"ghostroute/harness/proxy/fresh"
)

// Revalidate confirms every cached answer before it is given: see fresh.NewRevalidate.
func Revalidate() Variant {
	return Variant{
		Name:   "revalidate",
		Source: "ours: a conditional read, as HTTP's If-None-Match (harness/proxy/fresh/revalidate.go)",
		Claim: "through the proxy every read is linearizable and permitted to its reader, and what has not changed is " +
			"not sent again",
		kv: func(w *Wiring) pb.KVServer {
			kv, done := fresh.NewRevalidate(w.Ctx, w.Client, fresh.RevalidateOptions{})
			w.After(func() { <-done })
			return unpeeked{kv}
		},
	}
}

// unpeeked is a KV server that answers nothing without its members: who looks at its cache alone finds nothing, and
// must not be put together with those who read.
type unpeeked struct{ pb.KVServer }

func (s unpeeked) Range(ctx context.Context, r *pb.RangeRequest) (*pb.RangeResponse, error) {
	if c, ok := ctx.Value(callKey{}).(*call); ok && c.peek {
		return nil, errNotCached
	}
	return s.KVServer.Range(ctx, r)
}
