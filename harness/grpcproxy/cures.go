// Package grpcproxy is the watch and the lease server of etcd's own server/proxy/grpcproxy, with the places open that
// cure what is wrong with them: upstream's code, token for token, but for what stands between "// cure NAME: why" and
// "// cured", which says by "// was:" what it takes the place of. TestACopyIsStock holds it to that. With the zero
// Cures it does what stock does.
package grpcproxy

import (
	"context"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Cures are the patches, each of the size that one would send upstream. Lines are those of etcd v3.7.3.
type Cures struct {
	// RequireLeader looks for the client's wish for a leader where a server finds it (watch.go:112, lease.go:161).
	RequireLeader bool
	// PerIdentity gives each token an upstream watch stream of its own (util.go:37): a client finds its stream by the
	// metadata that it sends (client/v3/watch.go:1086), and a context's value is none.
	PerIdentity bool
	// Told passes on why an upstream watch ended (watcher.go:107), and has nobody join one that has
	// (watch_broadcast.go:97).
	Told bool
	// Reached puts the revision that is reached into a Created that the proxy makes itself (watch_broadcast.go:115).
	Reached bool
	// Slow ends the stream of a client that does not keep up as one to be opened again, not as cancelled (watch.go:165).
	Slow bool
	// Probe takes a refusal for what it is, the answer of a member that has a leader, and rests a second (leader.go:68).
	Probe bool
	// LeaseToken renews a client's leases with the client's token (lease.go:279): a stream of the proxy's own has none,
	// and members of v3.7.0, v3.6.16 and v3.5.35 ask for it (etcdserver/v3_server.go:575).
	LeaseToken bool
}

// metadata is what the client sent along: what it is looked for in is the cure.
func (c Cures) metadata(ctx context.Context) (metadata.MD, bool) {
	if c.RequireLeader {
		return metadata.FromIncomingContext(ctx)
	}
	return metadata.FromOutgoingContext(ctx)
}

// withClientAuthToken is util.go's: the client's token goes upstream as a value that AuthStreamClientInterceptor finds.
func (c Cures) withClientAuthToken(ctx, client context.Context) context.Context {
	md, _ := metadata.FromIncomingContext(client)
	tokens := md[rpctypes.TokenFieldNameGRPC]
	if len(tokens) == 0 || tokens[0] == "" {
		return ctx
	}
	if c.PerIdentity {
		ctx = metadata.AppendToOutgoingContext(ctx, rpctypes.TokenFieldNameGRPC, tokens[0])
	}
	return context.WithValue(ctx, rpctypes.TokenFieldNameGRPCKey{}, tokens[0])
}

// over is called when an upstream watch has ended and its broadcast is done; last is the last that it said. A
// compaction has been passed on by then, and a broadcast that was stopped has nobody left to tell.
func (c Cures) over(wb *watchBroadcast, ctx context.Context, last clientv3.WatchResponse) {
	if !c.Told || ctx.Err() != nil {
		return
	}
	reason := "the proxy's watch ended"
	if err := last.Err(); err != nil {
		reason = rpctypes.ErrorDesc(err)
	}
	wb.mu.Lock()
	wb.ended = true
	created := wb.responses > 1 || wb.responses == 1 && !last.Canceled
	var all []*watcher
	if last.CompactRevision == 0 {
		for w := range wb.receivers {
			all = append(all, w)
		}
	}
	wb.mu.Unlock()
	for _, w := range all {
		w.wps.end(w, created, reason)
	}
}

// end is delete, of a watcher whose watch ended by itself.
func (wps *watchProxyStream) end(w *watcher, created bool, reason string) {
	wps.mu.Lock()
	defer wps.mu.Unlock()
	if wps.watchers[w.id] != w {
		return
	}
	wps.ranges.delete(w)
	delete(wps.watchers, w.id)
	resp := &pb.WatchResponse{Header: w.lastHeader.Clone(), WatchId: w.id, Canceled: true, CancelReason: reason}
	if !created { // as recvLoop refuses a watch
		resp.Header, resp.WatchId, resp.Created = &pb.ResponseHeader{}, clientv3.InvalidWatchID, true
	}
	w.post(resp)
}

// created is the revision of a Created that the proxy makes itself. wb.mu is held.
func (c Cures) created(wb *watchBroadcast, w *watcher) int64 {
	if c.Reached {
		return wb.reached
	}
	return w.nextrev
}

// refused says whether a member refused a watch for want of a user or a right. It looks for a leader before it looks
// for a right (etcdserver/api/v3rpc/interceptor.go, newStreamInterceptor), so it has one.
func refused(err error) bool {
	for _, known := range []error{rpctypes.ErrPermissionDenied, rpctypes.ErrUserEmpty, rpctypes.ErrInvalidAuthToken} {
		if err != nil && strings.Contains(err.Error(), known.Error()) { // a reason comes as a text, with its code in it
			return true
		}
	}
	return false
}

// rest is the pause after a refusal.
func (c Cures) rest(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(time.Second):
	}
}

// ownLessor is the lessor of one client's stream.
type ownLessor struct{ clientv3.Lease }

// lessorOf is the lessor that renews for a client's stream. A renewal that is refused ends that stream: its client then
// comes again, with a token that is good.
func (c Cures) lessorOf(lp *leaseProxy, stream context.Context, refused func()) clientv3.Lease {
	if !c.LeaseToken {
		return lp.lessor
	}
	remote := &withToken{LeaseClient: lp.leaseClient, cures: c, stream: stream, refused: refused}
	return &ownLessor{clientv3.NewLeaseFromLeaseClient(remote, nil, 0)}
}

// withToken is a lease client whose renewals carry the token that a client's stream came with.
type withToken struct {
	pb.LeaseClient
	cures   Cures
	stream  context.Context
	refused func()
}

func (w *withToken) LeaseKeepAlive(ctx context.Context, opts ...grpc.CallOption) (
	pb.Lease_LeaseKeepAliveClient, error) {
	s, err := w.LeaseClient.LeaseKeepAlive(w.cures.withClientAuthToken(ctx, w.stream), opts...)
	return &renewals{s, w.refused}, err
}

// renewals are a stream of them.
type renewals struct {
	pb.Lease_LeaseKeepAliveClient
	end func()
}

func (r *renewals) Recv() (*pb.LeaseKeepAliveResponse, error) {
	resp, err := r.Lease_LeaseKeepAliveClient.Recv()
	if refused(err) {
		r.end()
	}
	return resp, err
}

// gauge stands for upstream's metrics, which count every proxy of the process together.
type gauge struct{}

func (gauge) Inc()        {}
func (gauge) Dec()        {}
func (gauge) Add(float64) {}
func (gauge) Sub(float64) {}

var watchersCoalescing, eventsCoalescing gauge
