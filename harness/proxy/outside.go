package proxy

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"ghostroute/harness/history"
	"ghostroute/harness/link"
	"ghostroute/harness/port"
	"ghostroute/harness/relay"
)

// outside is what stands around a proxy that is a process: client → front relay → process → link → rear relay → member,
// a rear relay for each member. What an interceptor would see inside is seen from outside: a call that went in at the
// front and did not come out at the rear was answered from the cache.
//
// The two are brought together by a number. A grpc-proxy passes one field of a client's metadata on, on every version
// from 3.4 on, and that is the token of authentication: the front writes the number behind it, the rear takes it away.
// (3.4 refuses a token that it does not know.) A release's cache is not split by that: none is keyed by identity.
type outside struct {
	proxy *Proxy
	inner *port.Port // where the process listens

	mu    sync.Mutex
	last  int
	calls map[int]*call           // on their way, by number
	rears map[string]*relay.Relay // by member: those that it may ask
	all   []*relay.Relay          // those that were drained, too
}

// rear is where the relay before a member listens, "" where the process is not to ask that.
func (o *outside) rear(member string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if r := o.rears[member]; r != nil {
		return r.Addr()
	}
	return ""
}

// ask has the process ask these members only. A process cannot be told that it has others: the relay before one that it
// is not to ask any more is drained, and takes nothing new. What is under way there goes on, as it does where etcd's
// client is given other endpoints.
func (o *outside) ask(members []string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, u := range o.proxy.cfg.Upstream {
		r, may := o.rears[u.Name], slices.Contains(members, u.Name)
		switch {
		case r != nil && !may:
			delete(o.rears, u.Name)
			r.Drain()
		case r == nil && may:
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return fmt.Errorf("no way from %s to %s: %w", o.proxy.cfg.Name, u.Name, err)
			}
			r = relay.Start(relay.Config{Listener: l, To: link.To("tcp", u.Addr), Streams: streams,
				Call: o.leavesFor(u.Name), Stream: o.watches})
			o.rears[u.Name], o.all = r, append(o.all, r)
		}
	}
	return nil
}

// begin gives a call its number.
func (o *outside) begin(c *call) (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.last++
	o.calls[o.last] = c
	return o.last
}

func (o *outside) end(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.calls, n)
}

var token = rpctypes.TokenFieldNameGRPC

// mark stands between a token and a number; no token of etcd's has one.
const mark = "~"

// number writes a number behind the token that there may be.
func number(md metadata.MD, n int) {
	md.Set(token, strings.Join(md.Get(token), "")+mark+strconv.Itoa(n))
}

// numbered is the call whose number is behind a token, which is then as it was; nil where there is none.
func (o *outside) numbered(md metadata.MD) *call {
	was, digits, found := strings.Cut(strings.Join(md.Get(token), ""), mark)
	if !found {
		return nil
	}
	if delete(md, token); was != "" {
		md.Set(token, was)
	}
	n, err := strconv.Atoi(digits)
	if err != nil {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.calls[n]
}

const kvService = "/etcdserverpb.KV/"

// enters is a call at the front: what provenance is inside a process.
func (o *outside) enters(ctx context.Context, c *relay.Call, pass func(context.Context) error) error {
	if !strings.HasPrefix(c.Method, kvService) {
		return pass(ctx)
	}
	p, mine := o.proxy, new(call)
	began, n := p.cfg.History.Now(), o.begin(mine)
	defer o.end(n)
	number(c.MD, n)
	err := pass(ctx)
	if c.Header == nil {
		c.Header = metadata.MD{}
	}
	c.Header.Set(HeaderProxy, p.cfg.Name)
	if c.Method != kvService+"Range" {
		return err
	}
	request, answer := new(pb.RangeRequest), new(pb.RangeResponse)
	if uerr := proto.Unmarshal(c.Request, request); uerr != nil {
		return uerr
	}
	if err == nil {
		if uerr := proto.Unmarshal(c.Answer, answer); uerr != nil {
			return uerr
		}
	}
	p.record(c.Header, began, c.From, mine, request, answer, err)
	return err
}

const statusMethod = "/etcdserverpb.Maintenance/Status"

// leavesFor is leaves at the rear relay of a member. Status is what reaches asks by: one that still comes to a member
// that is not to be asked any more says so.
func (o *outside) leavesFor(member string) func(context.Context, *relay.Call, func(context.Context) error) error {
	return func(ctx context.Context, c *relay.Call, pass func(context.Context) error) error {
		if c.Method == statusMethod && o.rear(member) == "" {
			return status.Errorf(codes.Unavailable, "%s is not to be asked", member)
		}
		return o.leaves(ctx, c, pass)
	}
}

// leaves is a call at the rear: what tapUnary is inside a process.
func (o *outside) leaves(ctx context.Context, c *relay.Call, pass func(context.Context) error) error {
	if mine := o.numbered(c.MD); mine != nil {
		if mine.peek {
			return errNotCached
		}
		mine.upstream.Add(1)
	}
	rpc, gates, key := c.Method[strings.LastIndexByte(c.Method, '/')+1:], &o.proxy.gates, ""
	if rpc == "Range" {
		o.proxy.ranges.Add(1)
	}
	if request := requestOf(c.Method); request != nil {
		if err := proto.Unmarshal(c.Request, request); err != nil {
			return err
		}
		key = keyOf(request)
	}
	if err := gates.pass(ctx, history.BeforeMember, rpc, key); err != nil {
		return err
	}
	err := pass(ctx)
	if gerr := gates.pass(ctx, history.AfterMember, rpc, key); gerr != nil {
		return gerr
	}
	return err
}

// requestOf is an empty request of a method whose requests are about keys, nil of another.
func requestOf(method string) proto.Message {
	switch strings.TrimPrefix(method, kvService) {
	case "Range":
		return new(pb.RangeRequest)
	case "Put":
		return new(pb.PutRequest)
	case "DeleteRange":
		return new(pb.DeleteRangeRequest)
	case "Txn":
		return new(pb.TxnRequest)
	}
	return nil
}

const watchMethod = "/etcdserverpb.Watch/Watch"

// watches is a stream at the rear: what tapStream is inside a process.
func (o *outside) watches(ctx context.Context, s *relay.Stream) {
	if s.Method != watchMethod {
		return
	}
	w := &watching{proxy: o.proxy}
	s.Up = func(b []byte) {
		if r := new(pb.WatchRequest); proto.Unmarshal(b, r) == nil {
			w.asks(r)
		}
	}
	s.Down = events(func(r *pb.WatchResponse) error { return w.delivers(ctx, r) })
}

// delivers is a stream at the front: what deliver is inside a process.
func (o *outside) delivers(ctx context.Context, s *relay.Stream) {
	if s.Method != watchMethod {
		return
	}
	o.proxy.watchers.Add(1)
	s.Ended = func() { o.proxy.watchers.Add(-1) }
	s.Down = events(func(r *pb.WatchResponse) error { return o.proxy.passEvents(ctx, history.BeforeClient, r) })
}

// events has something done with what a watch delivers.
func events(do func(*pb.WatchResponse) error) func([]byte) error {
	return func(b []byte) error {
		r := new(pb.WatchResponse)
		if err := proto.Unmarshal(b, r); err != nil {
			return err
		}
		return do(r)
	}
}
