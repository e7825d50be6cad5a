package proxy

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"google.golang.org/grpc"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/server/v3/proxy/grpcproxy"

	"ghostroute/harness/history"
	"ghostroute/harness/keys"
	"ghostroute/harness/relay"
)

// tapStream is the upstream client's stream interceptor: the watch's events pass the gates.
func (p *Proxy) tapStream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string,
	streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	s, err := grpcproxy.AuthStreamClientInterceptor(ctx, desc, cc, method, streamer, opts...)
	if err != nil || !strings.HasSuffix(method, "/Watch") {
		return s, err
	}
	return &watchStream{s, ctx, &watching{proxy: p, record: p.upstream.open(ctx, p)}}, nil
}

type watchStream struct {
	grpc.ClientStream
	caller context.Context // of who opened it; the stream's own ends with the stream
	*watching
}

// SendMsg notes what is asked to be watched.
func (w *watchStream) SendMsg(m any) error {
	if r, ok := m.(*pb.WatchRequest); ok {
		w.asks(r)
	}
	return w.ClientStream.SendMsg(m)
}

// RecvMsg holds what a gate asks for. To a proxy that watches of its own accord, that its watch broke off is as good as
// an event, and may be as late: it is held as one would be, unless the proxy itself gives the stream up.
func (w *watchStream) RecvMsg(m any) error {
	if err := w.ClientStream.RecvMsg(m); err != nil {
		return cmp.Or(w.breaks(w.caller), err)
	}
	r, ok := m.(*pb.WatchResponse)
	if !ok {
		return errors.New("a watch stream delivered something that is no watch response")
	}
	return waits(w.Context(), w.delivers(r))
}

// watching is a stream of a proxy's watches at a member.
type watching struct {
	proxy  *Proxy
	record *upstreamStream // nil where it is not recorded

	mu    sync.Mutex
	asked []*pb.WatchCreateRequest // that no Created has come for; they come in order
	own   []*pb.WatchCreateRequest // of the registry, by the proxy of its own accord
}

// asks notes a watch of the registry that is the proxy's own: it is asked for while no client watches.
func (w *watching) asks(r *pb.WatchRequest) {
	c := r.GetCreateRequest()
	if c == nil {
		return
	}
	own := w.proxy.watchers.Load() == 0 && overlap(c, keys.Registry)
	if own {
		w.proxy.watches.Store(true)
	}
	w.mu.Lock()
	w.asked = append(w.asked, c)
	if own {
		w.own = append(w.own, c)
	}
	w.mu.Unlock()
	w.record.asks(c)
}

func overlap(c *pb.WatchCreateRequest, prefix string) bool {
	return keys.Overlap(string(c.Key), string(c.RangeEnd), prefix, keys.PrefixEnd(prefix))
}

// delivers holds a response that carries an event a gate asks for, and at a proxy that watches of its own accord one
// that says that a watch for such events stands: a watch that broke off and is begun anew from the present has that for
// all that it missed. The stream carries every watch of the proxy in order, so what comes behind it waits too, as it
// would behind a slow link.
func (w *watching) delivers(r *pb.WatchResponse) relay.Wait {
	w.record.hears(r)
	if len(r.Events) > 0 {
		w.proxy.gates.comes()
	}
	if r.Created {
		w.mu.Lock()
		c := w.asked[0]
		w.asked = w.asked[1:]
		w.mu.Unlock()
		if key, held := w.proxy.gates.watched(c); held && w.proxy.Watches() {
			return w.proxy.gates.stop(history.AfterMember, "Watch", key)
		}
	}
	return w.proxy.stopEvents(history.AfterMember, r.Events)
}

// breaks holds that the stream broke off where a gate asks for events of one of the proxy's own watches.
func (w *watching) breaks(ctx context.Context) error {
	w.mu.Lock()
	own := slices.Clone(w.own)
	w.mu.Unlock()
	for _, c := range own {
		if key, held := w.proxy.gates.watched(c); held {
			return w.proxy.gates.pass(ctx, history.AfterMember, "Watch", key)
		}
	}
	return nil
}

// stopEvents holds a watch's response at the gates that ask for one of its events, one after another; nil where none
// does.
func (p *Proxy) stopEvents(at history.Point, events []*mvccpb.Event) relay.Wait {
	for i, ev := range events {
		if wait := p.gates.stop(at, "Watch", string(ev.Kv.Key)); wait != nil {
			return func(ctx context.Context) error {
				if err := wait(ctx); err != nil {
					return err
				}
				return waits(ctx, p.stopEvents(at, events[i+1:]))
			}
		}
	}
	return nil
}

// deliver is the server's stream interceptor: what a watch delivers to a client passes the gates once more.
func (p *Proxy) deliver(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	if strings.HasSuffix(info.FullMethod, "/Watch") {
		p.watchers.Add(1)
		defer p.watchers.Add(-1)
		p.upstream.knows(ss.Context(), p)
		err := handler(srv, &deliveryStream{ServerStream: ss, proxy: p})
		p.upstream.over(ss.Context(), p, err)
		return err
	}
	return handler(srv, ss)
}

type deliveryStream struct {
	grpc.ServerStream
	proxy *Proxy
}

// SendMsg holds a response on its way to a client, and what comes behind it on the same stream.
func (d *deliveryStream) SendMsg(m any) error {
	if r, ok := m.(*pb.WatchResponse); ok {
		if err := waits(d.Context(), d.proxy.stopEvents(history.BeforeClient, r.Events)); err != nil {
			return err
		}
		d.proxy.upstream.passes(d.Context(), d.proxy, r)
	}
	return d.ServerStream.SendMsg(m)
}
