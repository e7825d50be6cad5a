package main

import (
	"bytes"
	"context"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/coreos/etcd/clientv3"
	pb "github.com/coreos/etcd/etcdserver/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// call is one that went to etcd.
type call struct {
	Op           string            `json:"op"`
	Began        int64             `json:"began"` // nanoseconds after the command was taken
	Key          string            `json:"key,omitempty"`
	End          string            `json:"end,omitempty"`
	Serializable bool              `json:"serializable,omitempty"`
	Lease        int64             `json:"lease,omitempty"`
	Revision     int64             `json:"revision,omitempty"`
	Found        int               `json:"found,omitempty"`
	Deleted      int64             `json:"deleted,omitempty"`
	Header       map[string]string `json:"header,omitempty"` // what a proxy of Ghostroute says of the answer
	Error        string            `json:"error,omitempty"`
}

// calls are the commands that are being carried out, by the goroutine that does: go-micro's registry takes no context,
// but stays on its caller's goroutine.
type calls struct {
	mu  sync.Mutex
	now map[string]*trace
}

type trace struct {
	ctx   context.Context
	began time.Time
	calls []call
}

func newCalls() *calls { return &calls{now: map[string]*trace{}} }

// of runs f and returns what it asked of etcd. What it asks ends with ctx.
func (c *calls) of(ctx context.Context, f func()) []call {
	id, t := goroutine(), &trace{ctx: ctx, began: time.Now()}
	c.mu.Lock()
	c.now[id] = t
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.now, id)
		c.mu.Unlock()
	}()
	f()
	return t.calls
}

// goroutine is the name of the calling one, "goroutine 7".
func goroutine() string {
	var b [64]byte
	name, _, _ := bytes.Cut(b[:runtime.Stack(b[:], false)], []byte(" ["))
	return string(name)
}

// record makes a call and notes it where a command is meant by it: go-micro's own goroutines read, too.
func record[R any](ctx context.Context, c *calls, was call,
	send func(context.Context, grpc.CallOption) (R, error), note func(*call, R)) (R, error) {
	c.mu.Lock()
	t := c.now[goroutine()]
	c.mu.Unlock()
	if t == nil {
		return send(ctx, grpc.EmptyCallOption{})
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(t.ctx, cancel)()
	was.Began = int64(time.Since(t.began))
	var md metadata.MD
	resp, err := send(ctx, grpc.Trailer(&md))
	if err != nil {
		was.Error = err.Error()
	} else {
		note(&was, resp)
	}
	for name, values := range md {
		if strings.HasPrefix(name, "ghostroute-") {
			if was.Header == nil {
				was.Header = map[string]string{}
			}
			was.Header[name] = values[0]
		}
	}
	t.calls = append(t.calls, was)
	return resp, err
}

// tapped stands between etcd's client and its connection.
type tapped struct {
	pb.KVClient
	mode  mode
	calls *calls
}

func (k *tapped) Range(ctx context.Context, in *pb.RangeRequest, opts ...grpc.CallOption) (*pb.RangeResponse, error) {
	if in.Serializable && k.mode.upgrades(in) {
		in.Serializable = false // the client made the request for this one call
	}
	return record(ctx, k.calls,
		call{Op: "range", Key: string(in.Key), End: string(in.RangeEnd), Serializable: in.Serializable},
		func(ctx context.Context, md grpc.CallOption) (*pb.RangeResponse, error) {
			return k.KVClient.Range(ctx, in, append(opts, md)...)
		},
		func(c *call, r *pb.RangeResponse) { c.Revision, c.Found = r.Header.GetRevision(), len(r.Kvs) })
}

func (k *tapped) Put(ctx context.Context, in *pb.PutRequest, opts ...grpc.CallOption) (*pb.PutResponse, error) {
	return record(ctx, k.calls, call{Op: "put", Key: string(in.Key), Lease: in.Lease},
		func(ctx context.Context, md grpc.CallOption) (*pb.PutResponse, error) {
			return k.KVClient.Put(ctx, in, append(opts, md)...)
		},
		func(c *call, r *pb.PutResponse) { c.Revision = r.Header.GetRevision() })
}

func (k *tapped) DeleteRange(
	ctx context.Context, in *pb.DeleteRangeRequest, opts ...grpc.CallOption,
) (*pb.DeleteRangeResponse, error) {
	return record(ctx, k.calls, call{Op: "delete", Key: string(in.Key), End: string(in.RangeEnd)},
		func(ctx context.Context, md grpc.CallOption) (*pb.DeleteRangeResponse, error) {
			return k.KVClient.DeleteRange(ctx, in, append(opts, md)...)
		},
		func(c *call, r *pb.DeleteRangeResponse) { c.Revision, c.Deleted = r.Header.GetRevision(), r.Deleted })
}

// leases taps the leases that go-micro grants and renews.
type leases struct {
	clientv3.Lease
	calls *calls
}

func (l *leases) Grant(ctx context.Context, ttl int64) (*clientv3.LeaseGrantResponse, error) {
	return record(ctx, l.calls, call{Op: "grant"},
		func(ctx context.Context, _ grpc.CallOption) (*clientv3.LeaseGrantResponse, error) {
			return l.Lease.Grant(ctx, ttl)
		},
		func(c *call, r *clientv3.LeaseGrantResponse) { c.Revision, c.Lease = r.GetRevision(), int64(r.ID) })
}

func (l *leases) KeepAliveOnce(ctx context.Context, id clientv3.LeaseID) (*clientv3.LeaseKeepAliveResponse, error) {
	return record(ctx, l.calls, call{Op: "keepalive", Lease: int64(id)},
		func(ctx context.Context, _ grpc.CallOption) (*clientv3.LeaseKeepAliveResponse, error) {
			return l.Lease.KeepAliveOnce(ctx, id)
		},
		func(c *call, r *clientv3.LeaseKeepAliveResponse) { c.Revision = r.GetRevision() })
}
