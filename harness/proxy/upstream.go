package proxy

import (
	"context"
	"fmt"
	"sync"

	"google.golang.org/grpc/metadata"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/proxy/grpcproxy"

	patched "ghostroute/harness/grpcproxy"
	"ghostroute/harness/history"
)

// streams are the watch and the lease server: upstream's, or where the variant cures them the copy that can be cured.
func (p *Proxy) streams(ctx context.Context, c *clientv3.Client) (watch pb.WatchServer, watchDone <-chan struct{},
	lease pb.LeaseServer, leaseDone <-chan struct{}) {
	if cures := p.cfg.Variant.Cures; cures != (patched.Cures{}) {
		watch, watchDone = patched.NewWatchProxy(ctx, p.cfg.Logger, c, cures)
		lease, leaseDone = patched.NewLeaseProxy(ctx, c, cures)
		return watch, watchDone, lease, leaseDone
	}
	watch, watchDone = grpcproxy.NewWatchProxy(ctx, p.cfg.Logger, c)
	lease, leaseDone = grpcproxy.NewLeaseProxy(ctx, c)
	return watch, watchDone, lease, leaseDone
}

// upstream is what a proxy watches at its members, by stream: whose token each carries, and what becomes of its
// watches. It is recorded where Config.Watched says so.
type upstream struct {
	mu      sync.Mutex
	streams int
	users   map[string]string // the client that a token came with, by token
}

// upstreamStream is one stream to a member. It has a watch's answer only after the watch was asked for, in that order
// (etcdserver/api/v3rpc/watch.go), so the first that has none is the one that is answered.
type upstreamStream struct {
	name  string
	as    string // the client whose token it carries
	proxy *Proxy

	mu    sync.Mutex
	asked []*pb.WatchCreateRequest         // not answered yet
	known map[int64]*pb.WatchCreateRequest // by id
}

// knows notes whose token a client's watch stream has brought.
func (u *upstream) knows(ctx context.Context, p *Proxy) {
	md, _ := metadata.FromIncomingContext(ctx)
	tokens := md[rpctypes.TokenFieldNameGRPC]
	if !p.cfg.Watched || len(tokens) == 0 {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.users == nil {
		u.users = map[string]string{}
	}
	u.users[tokens[0]] = p.clientOf(callerOf(ctx))
}

// open is the record of a new stream, nil where there is to be none.
func (u *upstream) open(ctx context.Context, p *Proxy) *upstreamStream {
	if !p.cfg.Watched {
		return nil
	}
	token, _ := ctx.Value(rpctypes.TokenFieldNameGRPCKey{}).(string)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.streams++
	return &upstreamStream{name: fmt.Sprintf("%s's stream %d", p.cfg.Name, u.streams), as: u.users[token], proxy: p,
		known: map[int64]*pb.WatchCreateRequest{}}
}

func (s *upstreamStream) asks(c *pb.WatchCreateRequest) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, c)
	s.add(c, history.Watch{Op: history.WatchAsk})
}

// hears records that a watch was created, refused or ended; its events are its clients' to record.
func (s *upstreamStream) hears(r *pb.WatchResponse) {
	if s == nil || !r.Created && !r.Canceled {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	of := s.known[r.WatchId]
	if r.Created && len(s.asked) > 0 {
		of, s.asked = s.asked[0], s.asked[1:]
		s.known[r.WatchId] = of
	}
	w := history.Watch{Op: history.WatchCreated, Revision: r.GetHeader().GetRevision()}
	if r.Canceled {
		w.Op, w.Reason, w.Compacted = history.WatchEnd, r.CancelReason, r.CompactRevision
	}
	s.add(of, w)
}

// passes records that a client was told that its watch is over.
func (u *upstream) passes(ctx context.Context, p *Proxy, r *pb.WatchResponse) {
	if !p.cfg.Watched || !r.Canceled && r.CompactRevision == 0 {
		return
	}
	p.cfg.History.Add(history.Event{Who: p.cfg.Name, Watch: &history.Watch{
		Watch: p.cfg.Name + " to " + p.clientOf(callerOf(ctx)), Op: history.WatchEnd,
		Compacted: r.CompactRevision, Reason: r.CancelReason}})
}

// over records that a client's whole stream is over, and what the proxy had to say to that.
func (u *upstream) over(ctx context.Context, p *Proxy, err error) {
	if !p.cfg.Watched {
		return
	}
	reason := ""
	if err != nil {
		reason = err.Error()
	}
	p.cfg.History.Add(history.Event{Who: p.cfg.Name, Watch: &history.Watch{
		Watch: p.cfg.Name + " to all of " + p.clientOf(callerOf(ctx)), Op: history.WatchEnd, Reason: reason}})
}

func (s *upstreamStream) add(of *pb.WatchCreateRequest, w history.Watch) {
	w.Watch, w.As = s.name, s.as
	w.Key, w.End, w.From = string(of.GetKey()), string(of.GetRangeEnd()), of.GetStartRevision()
	s.proxy.cfg.History.Add(history.Event{Who: s.proxy.cfg.Name, Watch: &w})
}
