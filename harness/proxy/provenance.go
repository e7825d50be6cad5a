package proxy

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/proxy/grpcproxy"

	"ghostroute/harness/history"
)

// What goes behind an answer of the KV service and tells a client where it came from: trailers, for only then all of it
// is known. An answer without them did not pass a proxy.
const (
	TrailerProxy  = "ghostroute-proxy"  // the proxy's name
	TrailerSource = "ghostroute-source" // "hit" or "miss"; on a Range only
	TrailerEvent  = "ghostroute-event"  // the Seq of the history.Range that is the proxy's record of it; on a Range only
	TrailerMember = "ghostroute-member" // on a miss: the member that answered
)

// call is what the server's interceptor and the client's share about one call, through its context: a Range that sent
// nothing upstream was answered from the cache. The proxy's own metrics cannot tell, they are shared by every proxy
// of a process.
type call struct {
	upstream atomic.Int32
	peek     bool // answer from the cache or not at all
}

type callKey struct{}

var errNotCached = status.Error(codes.NotFound, "not cached")

// provenance is the server's interceptor: it records where each answer came from, in the history and behind the
// answer. It must not change the answer: a cached response is one pointer shared by every reader (grpcproxy/kv.go says
// "consider shadow copy").
func (p *Proxy) provenance(ctx context.Context, req any, info *grpc.UnaryServerInfo,
	handler grpc.UnaryHandler) (any, error) {
	if !strings.HasPrefix(info.FullMethod, "/etcdserverpb.KV/") {
		return handler(ctx, req)
	}
	began, c := p.cfg.History.Now(), new(call)
	resp, err := handler(context.WithValue(ctx, callKey{}, c), req)

	md := metadata.MD{TrailerProxy: {p.cfg.Name}}
	if r, ok := req.(*pb.RangeRequest); ok {
		rr, _ := resp.(*pb.RangeResponse)
		p.record(md, began, callerOf(ctx), c, r, rr, err)
	}
	if herr := grpc.SetTrailer(ctx, md); herr != nil {
		return nil, fmt.Errorf("proxy %s could not say where its answer came from: %w", p.cfg.Name, herr)
	}
	return resp, err
}

// record puts a Range into the history, and where its answer came from into md.
func (p *Proxy) record(md metadata.MD, began time.Duration, from string, c *call, r *pb.RangeRequest,
	resp *pb.RangeResponse, err error) {
	e := &history.Range{Began: began, Client: p.clientOf(from), Source: history.Hit, Serializable: r.Serializable,
		Key: string(r.Key), End: string(r.RangeEnd), Shape: Shape(r)}
	if c.upstream.Load() > 0 {
		e.Source = history.Miss
	}
	if err == nil && resp != nil {
		p.seen.add(r)
		e.Revision = resp.GetHeader().GetRevision()
		e.Keys, e.Mods, e.Count = keysOf(resp), modsOf(resp), resp.Count
		if e.Source == history.Miss {
			e.Member = p.memberOf(resp.GetHeader().GetMemberId())
			md.Set(TrailerMember, e.Member)
		}
	} else if err != nil {
		e.Err = err.Error()
	}
	event := p.cfg.History.Add(history.Event{Who: p.cfg.Name, Range: e})
	md.Set(TrailerSource, string(e.Source))
	md.Set(TrailerEvent, strconv.Itoa(event.Seq))
}

// tapUnary is the upstream client's interceptor: it counts the call, holds it where a gate says so, and hands it to the
// interceptor etcdmain uses, which passes the caller's token on.
func (p *Proxy) tapUnary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn,
	invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		if c.peek {
			return errNotCached
		}
		c.upstream.Add(1)
	}
	rpc := method[strings.LastIndexByte(method, '/')+1:]
	if rpc == "Range" {
		p.ranges.Add(1)
	}
	if asksLeave(ctx) {
		return grpcproxy.AuthUnaryClientInterceptor(ctx, method, req, reply, cc, invoker, opts...)
	}
	if err := p.gates.pass(ctx, history.BeforeMember, rpc, keyOf(req)); err != nil {
		return err
	}
	err := grpcproxy.AuthUnaryClientInterceptor(ctx, method, req, reply, cc, invoker, opts...)
	if gerr := p.gates.pass(ctx, history.AfterMember, rpc, keyOf(req)); gerr != nil {
		return gerr
	}
	return err
}

// asksLeave says whether a proxy asks whether who watches may read (grpcproxy/watch.go:209). That is a Range of its
// own, asked for again whenever a client's watch was broken off: no gate holds it in place of a client's.
func asksLeave(ctx context.Context) bool {
	s := grpc.ServerTransportStreamFromContext(ctx)
	return s != nil && strings.HasSuffix(s.Method(), "/Watch")
}

// callerOf is the address that an RPC came from, "" where it came from none.
func callerOf(ctx context.Context) string {
	if pr, ok := peer.FromContext(ctx); ok && pr.Addr != nil {
		return pr.Addr.String()
	}
	return ""
}

func (p *Proxy) clientOf(addr string) string {
	if p.cfg.ClientOf == nil || addr == "" {
		return ""
	}
	return p.cfg.ClientOf(addr)
}

func (p *Proxy) memberOf(id uint64) string {
	for _, u := range p.cfg.Upstream {
		if u.ID == id && id != 0 {
			return u.Name
		}
	}
	return ""
}

// Shape is what a Range asks for beside its keys and whether it is serializable, in words: "limit=1 keys-only". It is
// part of what the cache is keyed by, so two shapes of the same range are two entries.
func Shape(r *pb.RangeRequest) string {
	var s []string
	number := func(name string, n int64) {
		if n != 0 {
			s = append(s, fmt.Sprintf("%s=%d", name, n))
		}
	}
	number("limit", r.Limit)
	number("revision", r.Revision)
	if r.SortOrder != pb.RangeRequest_NONE || r.SortTarget != pb.RangeRequest_KEY {
		s = append(s, strings.ToLower(fmt.Sprintf("sort=%s/%s", r.SortTarget, r.SortOrder)))
	}
	if r.KeysOnly {
		s = append(s, "keys-only")
	}
	if r.CountOnly {
		s = append(s, "count-only")
	}
	number("min-mod", r.MinModRevision)
	number("max-mod", r.MaxModRevision)
	number("min-create", r.MinCreateRevision)
	number("max-create", r.MaxCreateRevision)
	return strings.Join(s, " ")
}

func keysOf(r *pb.RangeResponse) []string {
	keys := make([]string, len(r.Kvs))
	for i, kv := range r.Kvs {
		keys[i] = string(kv.Key)
	}
	return keys
}

func modsOf(r *pb.RangeResponse) []int64 {
	mods := make([]int64, len(r.Kvs))
	for i, kv := range r.Kvs {
		mods[i] = kv.ModRevision
	}
	return mods
}

// keyOf is the first key a request is about, "" where it is about none.
func keyOf(req any) string {
	switch r := req.(type) {
	case interface{ GetKey() []byte }: // Range, Put, DeleteRange
		return string(r.GetKey())
	case *pb.TxnRequest:
		for _, op := range slices.Concat(r.GetSuccess(), r.GetFailure()) {
			if k := keyOf(op.GetRequestTxn()); k != "" { // leasing wraps a transaction in one of its own
				return k
			}
			keyed := []interface{ GetKey() []byte }{op.GetRequestPut(), op.GetRequestDeleteRange(), op.GetRequestRange()}
			for _, in := range keyed {
				if k := string(in.GetKey()); k != "" {
					return k
				}
			}
		}
	}
	return ""
}

// requests are the distinct Ranges a proxy answered, so that Cache knows what to look for.
type requests struct {
	mu  sync.Mutex
	all map[string]*pb.RangeRequest
}

func (s *requests) add(r *pb.RangeRequest) {
	key := string(r.Key) + "\x00\xff" + string(r.RangeEnd) + "\x00\xff" + Shape(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[string]*pb.RangeRequest{}
	}
	if s.all[key] == nil {
		s.all[key] = &pb.RangeRequest{Key: r.Key, RangeEnd: r.RangeEnd, Limit: r.Limit, Revision: r.Revision,
			SortOrder: r.SortOrder, SortTarget: r.SortTarget, KeysOnly: r.KeysOnly, CountOnly: r.CountOnly,
			MinModRevision: r.MinModRevision, MaxModRevision: r.MaxModRevision, Serializable: true,
			MinCreateRevision: r.MinCreateRevision, MaxCreateRevision: r.MaxCreateRevision}
	}
}

func (s *requests) list() []*pb.RangeRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*pb.RangeRequest
	for _, r := range s.all {
		all = append(all, r)
	}
	return all
}

// Entry is one answer a proxy holds in its cache.
type Entry struct {
	Key, End, Shape string
	Revision        int64    // the revision it was true at
	Keys            []string // the keys it names
}

// Peek is what the proxy would answer to a serializable request from its cache, nil where it would ask. Looking fills
// nothing; it does move what it finds to the young end of the LRU.
func (p *Proxy) Peek(ctx context.Context, req *pb.RangeRequest) *pb.RangeResponse {
	p.mu.Lock()
	r := p.run
	p.mu.Unlock()
	if r == nil || r.peek == nil {
		return nil
	}
	return r.peek(ctx, req)
}

// Cache lists what the proxy would answer from its cache, sorted by key: it asks the proxy's KV server for each range
// it ever answered, with the way upstream barred, so looking fills nothing. It does move what it finds to the young
// end of the LRU.
func (p *Proxy) Cache(ctx context.Context) []Entry {
	p.mu.Lock()
	r := p.run
	p.mu.Unlock()
	if r == nil || r.peek == nil {
		return nil
	}
	var entries []Entry
	for _, req := range p.seen.list() {
		resp := r.peek(ctx, req)
		if resp == nil {
			continue
		}
		entries = append(entries, Entry{Key: string(req.Key), End: string(req.RangeEnd), Shape: Shape(req),
			Revision: resp.GetHeader().GetRevision(), Keys: keysOf(resp)})
	}
	slices.SortFunc(entries, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.End, b.End), cmp.Compare(a.Shape, b.Shape))
	})
	return entries
}
