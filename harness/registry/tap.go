package registry

import (
	"context"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/metadata"

	"ghostroute/harness/keys"
	"ghostroute/harness/tap"
)

// tapped is client, whose life that is, with a tap between it and go-micro's registry: it applies the read mode, and
// notes where answers came from.
func tapped(client *clientv3.Client, life context.Context, cfg *Config, c *calls) *clientv3.Client {
	t := &tap.Tap{Client: cfg.Client, Via: cfg.Via, History: cfg.History,
		Bound: func(ctx context.Context) (context.Context, func()) { return bound(ctx, life, c.current()) },
		Read: func() int {
			if mine := c.current(); mine != nil && len(mine.reads) > 0 {
				return mine.reads[len(mine.reads)-1].Event
			}
			return 0
		},
		Range: func(in *pb.RangeRequest) func(*pb.RangeResponse, metadata.MD, error) {
			if in.Serializable && cfg.Mode.upgrades(in) {
				in.Serializable = false // clientv3's kv.Do made the request for this one call
			}
			read := Read{Began: cfg.History.Now(), Key: string(in.Key), End: string(in.RangeEnd),
				Service: serviceOf(string(in.Key)), Serializable: in.Serializable}
			mine := c.current()
			return func(resp *pb.RangeResponse, md metadata.MD, err error) {
				if err != nil {
					read.Err = err.Error()
				} else {
					if read.Via, read.Source, read.Event = tap.Origin(md); read.Via == "" && cfg.Via != "" {
						read.Via, read.Source = cfg.Via, "" // which is not known
					}
					read.Revision, read.Found = resp.Header.GetRevision(), len(resp.Kvs)
				}
				c.add(mine, read)
			}
		},
	}
	t.Into(client)
	client.Watcher = &watches{Watcher: client.Watcher, life: life}
	return client
}

// serviceOf is the service that a read of a key, or from it on, is about; "" where it is about all.
func serviceOf(key string) string {
	rest, _ := strings.CutPrefix(key, keys.Registry)
	service, _, _ := strings.Cut(rest, "/")
	return service
}

// watches ends each watch with the client. go-micro's have no other end until they are established, and where etcd's
// watcher hangs (package hangup says why it does) one that is asked for is never established, and not even closing
// the client ends the wait.
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

// bound is ctx, ended also when the client ends and, unless mine is nil, when its call ends. release must be called.
//
// Closing etcd's client does not end its calls: its retry interceptor takes "the client connection is closing" for a
// deadline of one attempt, and tries again until ctx ends, which is five seconds for go-micro
// (client/v3/retry_interceptor.go).
func bound(ctx, life context.Context, mine *call) (bounded context.Context, release func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	end := func(by context.Context) (stop func() bool) {
		return context.AfterFunc(by, func() { cancel(context.Cause(by)) })
	}
	client, caller := end(life), func() bool { return true }
	if mine != nil {
		caller = end(mine.ctx)
	}
	return ctx, func() { client(); caller(); cancel(nil) }
}
