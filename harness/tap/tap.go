// Package tap stands between a program and etcd's client, as etcd's own clientv3/namespace does: each write goes into
// the history, and each answer says where it came from.
package tap

import (
	"context"
	"strconv"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"ghostroute/harness/history"
	"ghostroute/harness/proxy"
)

// Tap is one client's. Client and History are required.
type Tap struct {
	Client  string // its name in the history
	Via     string // the member it asks, where no proxy says that it answered
	History *history.History

	// Bound bounds each call; release must be called. nil leaves calls as they are.
	Bound func(context.Context) (ctx context.Context, release func())
	// Range may change a read, and is given what became of it. nil leaves reads as they are.
	Range func(*pb.RangeRequest) (answered func(*pb.RangeResponse, metadata.MD, error))
	// Read is the Seq of the record of the read that a write rests on, 0 for none. nil is always none.
	Read func() int
}

// Into puts the tap into a client: what is read and written with it is seen.
func (t *Tap) Into(c *clientv3.Client) {
	c.KV = clientv3.NewKVFromKVClient(t.KV(clientv3.RetryKVClient(c)), c)
	c.Lease = &leases{c.Lease, t}
}

// KV is kv with the tap in it.
func (t *Tap) KV(kv pb.KVClient) pb.KVClient { return &tapped{kv, t} }

type tapped struct {
	pb.KVClient
	tap *Tap
}

func (k *tapped) Range(ctx context.Context, in *pb.RangeRequest, opts ...grpc.CallOption) (*pb.RangeResponse, error) {
	var answered func(*pb.RangeResponse, metadata.MD, error)
	if k.tap.Range != nil {
		answered = k.tap.Range(in)
	}
	ctx, release := k.tap.bound(ctx)
	defer release()
	var md metadata.MD
	resp, err := k.KVClient.Range(ctx, in, append(opts, grpc.Trailer(&md))...)
	err = cause(ctx, err)
	if answered != nil {
		answered(resp, md, err)
	}
	return resp, err
}

func (k *tapped) Put(ctx context.Context, in *pb.PutRequest, opts ...grpc.CallOption) (*pb.PutResponse, error) {
	return written(k.tap, ctx, history.Write{Op: "put", Key: string(in.Key), Lease: in.Lease},
		func(ctx context.Context, md grpc.CallOption) (*pb.PutResponse, error) {
			return k.KVClient.Put(ctx, in, append(opts, md)...)
		},
		func(w *history.Write, resp *pb.PutResponse) { w.Revision = resp.Header.GetRevision() })
}

func (k *tapped) DeleteRange(
	ctx context.Context, in *pb.DeleteRangeRequest, opts ...grpc.CallOption,
) (*pb.DeleteRangeResponse, error) {
	return written(k.tap, ctx, history.Write{Op: "delete", Key: string(in.Key), End: string(in.RangeEnd)},
		func(ctx context.Context, md grpc.CallOption) (*pb.DeleteRangeResponse, error) {
			return k.KVClient.DeleteRange(ctx, in, append(opts, md)...)
		},
		func(w *history.Write, resp *pb.DeleteRangeResponse) {
			w.Revision, w.Deleted = resp.Header.GetRevision(), resp.Deleted
		})
}

func (k *tapped) Txn(ctx context.Context, in *pb.TxnRequest, opts ...grpc.CallOption) (*pb.TxnResponse, error) {
	w := history.Write{Op: "txn"}
	w.Key, w.End, w.Lease = changes(in)
	return written(k.tap, ctx, w,
		func(ctx context.Context, md grpc.CallOption) (*pb.TxnResponse, error) {
			return k.KVClient.Txn(ctx, in, append(opts, md)...)
		},
		func(w *history.Write, resp *pb.TxnResponse) {
			w.Revision = resp.Header.GetRevision()
			for _, r := range resp.Responses {
				w.Deleted += r.GetResponseDeleteRange().GetDeleted()
			}
		})
}

// changes is what a transaction is named after: what it would change first, in transactions inside it too.
func changes(in *pb.TxnRequest) (key, end string, lease int64) {
	for _, op := range in.Success {
		switch {
		case op.GetRequestPut() != nil:
			return string(op.GetRequestPut().Key), "", op.GetRequestPut().Lease
		case op.GetRequestDeleteRange() != nil:
			return string(op.GetRequestDeleteRange().Key), string(op.GetRequestDeleteRange().RangeEnd), 0
		case op.GetRequestTxn() != nil:
			return changes(op.GetRequestTxn())
		}
	}
	return "", "", 0
}

func (k *tapped) Compact(
	ctx context.Context, in *pb.CompactionRequest, opts ...grpc.CallOption,
) (*pb.CompactionResponse, error) {
	return written(k.tap, ctx, history.Write{Op: "compact"},
		func(ctx context.Context, md grpc.CallOption) (*pb.CompactionResponse, error) {
			return k.KVClient.Compact(ctx, in, append(opts, md)...)
		},
		func(w *history.Write, _ *pb.CompactionResponse) { w.Revision = in.Revision })
}

// leases taps the leases that a client grants, renews once and revokes.
type leases struct {
	clientv3.Lease
	tap *Tap
}

func (l *leases) Grant(ctx context.Context, ttl int64) (*clientv3.LeaseGrantResponse, error) {
	return written(l.tap, ctx, history.Write{Op: "grant"},
		func(ctx context.Context, _ grpc.CallOption) (*clientv3.LeaseGrantResponse, error) {
			return l.Lease.Grant(ctx, ttl)
		},
		func(w *history.Write, resp *clientv3.LeaseGrantResponse) {
			w.Revision, w.Lease = resp.GetRevision(), int64(resp.ID)
		})
}

func (l *leases) Revoke(ctx context.Context, id clientv3.LeaseID) (*clientv3.LeaseRevokeResponse, error) {
	return written(l.tap, ctx, history.Write{Op: "revoke", Lease: int64(id)},
		func(ctx context.Context, _ grpc.CallOption) (*clientv3.LeaseRevokeResponse, error) {
			return l.Lease.Revoke(ctx, id)
		},
		func(w *history.Write, resp *clientv3.LeaseRevokeResponse) { w.Revision = resp.Header.GetRevision() })
}

func (l *leases) KeepAliveOnce(ctx context.Context, id clientv3.LeaseID) (*clientv3.LeaseKeepAliveResponse, error) {
	return written(l.tap, ctx, history.Write{Op: "keepalive", Lease: int64(id)},
		func(ctx context.Context, _ grpc.CallOption) (*clientv3.LeaseKeepAliveResponse, error) {
			return l.Lease.KeepAliveOnce(ctx, id)
		},
		func(w *history.Write, resp *clientv3.LeaseKeepAliveResponse) { w.Revision = resp.GetRevision() })
}

// written sends a write and puts it into the history: w, completed by note where it was acknowledged.
func written[R any](t *Tap, ctx context.Context, w history.Write,
	send func(context.Context, grpc.CallOption) (R, error), note func(*history.Write, R)) (R, error) {
	w.Began = t.History.Now()
	if t.Read != nil {
		w.Read = t.Read()
	}
	ctx, release := t.bound(ctx)
	defer release()
	var md metadata.MD
	resp, err := send(ctx, grpc.Trailer(&md))
	if err = cause(ctx, err); err != nil {
		w.Err = err.Error()
	} else {
		note(&w, resp)
	}
	if w.Via, _, _ = Origin(md); w.Via == "" {
		w.Via = t.Via
	}
	t.History.Add(history.Event{Who: t.Client, Write: &w})
	return resp, err
}

func (t *Tap) bound(ctx context.Context) (context.Context, func()) {
	if t.Bound == nil {
		return ctx, func() {}
	}
	return t.Bound(ctx)
}

// cause is err, or why ctx ended where it did: etcd's client says "context canceled" whatever ended it.
func cause(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// Origin is which proxy answered, out of what, and the Seq of its record of that, by an answer's metadata. Answers
// about leases have none, since a proxy says where KV answers came from, and no others.
func Origin(md metadata.MD) (via string, source history.Source, event int) {
	via, source = first(md.Get(proxy.TrailerProxy)), history.Source(first(md.Get(proxy.TrailerSource)))
	if via == "" {
		source = history.Member
	}
	event, _ = strconv.Atoi(first(md.Get(proxy.TrailerEvent))) // 0 where there is none
	return via, source, event
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}
