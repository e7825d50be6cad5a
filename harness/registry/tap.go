package registry

import (
	"context"
	"strconv"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"ghostroute/harness/history"
	"ghostroute/harness/keys"
	"ghostroute/harness/proxy"
)

// tap stands between go-micro's registry and etcd's client, as etcd's own clientv3/namespace does: it applies the read mode,
// takes down where answers came from, and writes writes into the history.
type tap struct {
	pb.KVClient
	cfg   *Config
	calls *calls
	life  context.Context // the client's
}

// tapped is client, whose life that is, with a tap in it.
func tapped(client *clientv3.Client, life context.Context, cfg *Config, c *calls) *clientv3.Client {
	t := &tap{KVClient: clientv3.RetryKVClient(client), cfg: cfg, calls: c, life: life}
	client.KV = clientv3.NewKVFromKVClient(t, client)
	client.Lease = &leases{Lease: client.Lease, tap: t}
	client.Watcher = &watches{Watcher: client.Watcher, life: life}
	return client
}

// watches ends each watch with the client. go-micro's have no other end until they are established, and where etcd's watcher hangs
// (package hangup says why it does) one that is asked for is never established, and not even closing the client ends the wait.
type watches struct {
	clientv3.Watcher
	life context.Context // the client's
}

func (w *watches) Watch(ctx context.Context, key string, opts ...clientv3.OpOption) clientv3.WatchChan {
	bounded, cancel := context.WithCancel(ctx)
	unbound := context.AfterFunc(w.life, cancel)
	context.AfterFunc(ctx, func() { unbound() })
	return w.Watcher.Watch(bounded, key, opts...)
}

func (t *tap) Range(ctx context.Context, in *pb.RangeRequest, opts ...grpc.CallOption) (*pb.RangeResponse, error) {
	if in.Serializable && t.cfg.Mode.upgrades(in) {
		in.Serializable = false // clientv3's kv.Do made the request for this one call
	}
	read := Read{Began: t.cfg.History.Now(), Key: string(in.Key), End: string(in.RangeEnd), Serializable: in.Serializable}
	rest, _ := strings.CutPrefix(read.Key, keys.Registry)
	read.Service, _, _ = strings.Cut(rest, "/")

	mine := t.calls.current()
	ctx, release := t.bound(ctx, mine)
	defer release()
	var md metadata.MD
	resp, err := t.KVClient.Range(ctx, in, append(opts, grpc.Header(&md))...)
	if err = why(ctx, err); err != nil {
		read.Err = err.Error()
	} else {
		read.Via, read.Source, read.Event = provenance(md)
		read.Revision, read.Found = resp.Header.GetRevision(), len(resp.Kvs)
	}
	t.calls.add(mine, read)
	return resp, err
}

func (t *tap) Put(ctx context.Context, in *pb.PutRequest, opts ...grpc.CallOption) (*pb.PutResponse, error) {
	return written(t, ctx, history.Write{Op: "put", Key: string(in.Key), Lease: in.Lease},
		func(ctx context.Context, md grpc.CallOption) (*pb.PutResponse, error) {
			return t.KVClient.Put(ctx, in, append(opts, md)...)
		},
		func(w *history.Write, resp *pb.PutResponse) { w.Revision = resp.Header.GetRevision() })
}

func (t *tap) DeleteRange(ctx context.Context, in *pb.DeleteRangeRequest, opts ...grpc.CallOption) (*pb.DeleteRangeResponse, error) {
	return written(t, ctx, history.Write{Op: "delete", Key: string(in.Key), End: string(in.RangeEnd)},
		func(ctx context.Context, md grpc.CallOption) (*pb.DeleteRangeResponse, error) {
			return t.KVClient.DeleteRange(ctx, in, append(opts, md)...)
		},
		func(w *history.Write, resp *pb.DeleteRangeResponse) {
			w.Revision, w.Deleted = resp.Header.GetRevision(), resp.Deleted
		})
}

func (t *tap) Txn(ctx context.Context, in *pb.TxnRequest, opts ...grpc.CallOption) (*pb.TxnResponse, error) {
	w := history.Write{Op: "txn"}
	for _, op := range in.Success { // it is named after the first key it would change
		if put := op.GetRequestPut(); put != nil {
			w.Key, w.Lease = string(put.Key), put.Lease
			break
		}
		if del := op.GetRequestDeleteRange(); del != nil {
			w.Key, w.End = string(del.Key), string(del.RangeEnd)
			break
		}
	}
	return written(t, ctx, w,
		func(ctx context.Context, md grpc.CallOption) (*pb.TxnResponse, error) {
			return t.KVClient.Txn(ctx, in, append(opts, md)...)
		},
		func(w *history.Write, resp *pb.TxnResponse) {
			w.Revision = resp.Header.GetRevision()
			for _, r := range resp.Responses {
				w.Deleted += r.GetResponseDeleteRange().GetDeleted()
			}
		})
}

func (t *tap) Compact(ctx context.Context, in *pb.CompactionRequest, opts ...grpc.CallOption) (*pb.CompactionResponse, error) {
	return written(t, ctx, history.Write{Op: "compact"},
		func(ctx context.Context, md grpc.CallOption) (*pb.CompactionResponse, error) {
			return t.KVClient.Compact(ctx, in, append(opts, md)...)
		},
		func(w *history.Write, resp *pb.CompactionResponse) { w.Revision = resp.Header.GetRevision() })
}

// leases taps the leases that go-micro grants and keeps. It revokes none: a deregistered instance's lease just runs out.
type leases struct {
	clientv3.Lease
	tap *tap
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

// written sends a write, bounded by the call that the goroutine is in, and writes it into the history: w, completed by note
// where it was acknowledged.
func written[R any](t *tap, ctx context.Context, w history.Write, send func(context.Context, grpc.CallOption) (R, error), note func(*history.Write, R)) (R, error) {
	w.Began = t.cfg.History.Now()
	mine := t.calls.current()
	if mine != nil && len(mine.reads) > 0 {
		w.Read = mine.reads[len(mine.reads)-1].Event
	}
	ctx, release := t.bound(ctx, mine)
	defer release()
	var md metadata.MD
	resp, err := send(ctx, grpc.Header(&md))
	if err = why(ctx, err); err != nil {
		w.Err = err.Error()
	} else {
		note(&w, resp)
	}
	w.Via, _, _ = provenance(md)
	t.cfg.History.Add(history.Event{Who: t.cfg.Client, Write: &w})
	return resp, err
}

// bound is ctx, ended also when the client ends and, unless mine is nil, when its call ends. release must be called.
//
// Closing etcd's client does not end its calls: its retry interceptor takes "the client connection is closing" for a deadline of
// one attempt, and tries again until ctx ends, which is five seconds for go-micro (client/v3/retry_interceptor.go).
func (t *tap) bound(ctx context.Context, mine *call) (bounded context.Context, release func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	end := func(by context.Context) (stop func() bool) {
		return context.AfterFunc(by, func() { cancel(context.Cause(by)) })
	}
	life, caller := end(t.life), func() bool { return true }
	if mine != nil {
		caller = end(mine.ctx)
	}
	return ctx, func() { life(); caller(); cancel(nil) }
}

// why is err, or why ctx ended where it did: etcd's client says "context canceled" whoever ended it.
func why(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// provenance is what answered, out of what, and the Seq of its record of that, by the answer's metadata. Lease answers have
// none (harness/proxy gives it with KV answers only), so their Via stays empty.
func provenance(md metadata.MD) (via string, source history.Source, event int) {
	via, source = first(md.Get(proxy.HeaderProxy)), history.Source(first(md.Get(proxy.HeaderSource)))
	if via == "" {
		source = history.Member
	}
	event, _ = strconv.Atoi(first(md.Get(proxy.HeaderEvent))) // 0 where there is none
	return via, source, event
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}
