package proxy

import (
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
// client is given other endpoints; but for what a black hole has: the process does not hear through it that the relay
// is drained, and would ask on.
func (o *outside) ask(members []string) error {
	over, err := o.only(members)
	for member, r := range over { // a call that begins asks for our lock
		r.Drain()
		if _, hole, _ := o.proxy.links[member].Broken(); hole {
			o.proxy.links[member].Drop()
		}
	}
	return err
}

// only makes the relays before these members be those that there are, and returns the others, by member.
func (o *outside) only(members []string) (over map[string]*relay.Relay, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	over = map[string]*relay.Relay{}
	for _, u := range o.proxy.cfg.Upstream {
		r, may := o.rears[u.Name], slices.Contains(members, u.Name)
		switch {
		case r != nil && !may:
			delete(o.rears, u.Name)
			over[u.Name] = r
		case r == nil && may:
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return over, fmt.Errorf("no way from %s to %s: %w", o.proxy.cfg.Name, u.Name, err)
			}
			r = relay.Start(relay.Config{Listener: l, To: link.To("tcp", u.Addr), Open: o.leavesFor(u.Name)})
			o.rears[u.Name], o.all = r, append(o.all, r)
		}
	}
	return over, nil
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

// numbered is a token, if there is one, with a number behind it.
func numbered(token string, n int) string { return token + mark + strconv.Itoa(n) }

// whose is the call whose number is behind a token, which is then as it was; nil where there is none.
func (o *outside) whose(c *relay.Call) *call {
	was, digits, found := strings.Cut(c.Get(token), mark)
	if !found {
		return nil
	}
	c.Set(token, was)
	n, err := strconv.Atoi(digits)
	if err != nil {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.calls[n]
}

const (
	kvService    = "/etcdserverpb.KV/"
	watchMethod  = "/etcdserverpb.Watch/Watch"
	statusMethod = "/etcdserverpb.Maintenance/Status"
)

// enters is a call at the front: what provenance and deliver are inside a process.
func (o *outside) enters(c *relay.Call) {
	switch {
	case c.Method == watchMethod:
		o.proxy.watchers.Add(1)
		c.Ended = func(error) []string { o.proxy.watchers.Add(-1); return nil }
		c.Down = words(func(r *pb.WatchResponse) relay.Wait {
			return o.proxy.stopEvents(history.BeforeClient, r.Events)
		})
	case strings.HasPrefix(c.Method, kvService):
		o.asked(c)
	}
}

// asked is a call of the KV service at the front.
func (o *outside) asked(c *relay.Call) {
	p, mine, from := o.proxy, new(call), c.From
	began, n := p.cfg.History.Now(), o.begin(mine)
	c.Set(token, numbered(c.Get(token), n))
	md := metadata.MD{TrailerProxy: {p.cfg.Name}}
	if c.Method != kvService+"Range" {
		c.Ended = func(error) []string { o.end(n); return pairs(md) }
		return
	}
	request, answer := new(pb.RangeRequest), new(pb.RangeResponse)
	c.Up, c.Down = into(request), into(answer)
	c.Ended = func(err error) []string {
		o.end(n)
		p.record(md, began, from, mine, request, answer, err)
		return pairs(md)
	}
}

// pairs are metadata as names and values, in turn.
func pairs(md metadata.MD) (all []string) {
	for name, values := range md {
		for _, v := range values {
			all = append(all, name, v)
		}
	}
	return all
}

// into decodes a message. One that cannot be is passed on as it is, and whoever it is for says so.
func into(m proto.Message) func([]byte) relay.Wait {
	return func(b []byte) relay.Wait { _ = proto.Unmarshal(b, m); return nil }
}

// words has something done with each word of a watch.
func words(do func(*pb.WatchResponse) relay.Wait) func([]byte) relay.Wait {
	return func(b []byte) relay.Wait {
		r := new(pb.WatchResponse)
		if proto.Unmarshal(b, r) != nil {
			return nil
		}
		return do(r)
	}
}

// leavesFor is a call at the rear relay of a member: what tapUnary and tapStream are inside a process. Status is what
// reaches asks by: one that still comes to a member that is not to be asked any more says so.
func (o *outside) leavesFor(member string) func(*relay.Call) {
	return func(c *relay.Call) {
		switch {
		case c.Method == statusMethod && o.rear(member) == "":
			c.Refuse = status.Errorf(codes.Unavailable, "%s is not to be asked", member)
		case c.Method == watchMethod:
			o.watches(c)
		case !streams[c.Method]:
			o.leaves(c)
		}
	}
}

func (o *outside) leaves(c *relay.Call) {
	if mine := o.whose(c); mine != nil {
		if mine.peek {
			c.Refuse = errNotCached
			return
		}
		mine.upstream.Add(1)
	}
	rpc, gates, key := c.Method[strings.LastIndexByte(c.Method, '/')+1:], &o.proxy.gates, ""
	if rpc == "Range" {
		o.proxy.ranges.Add(1)
	}
	request := requestOf(c.Method)
	c.Up = func(b []byte) relay.Wait {
		if request != nil && proto.Unmarshal(b, request) == nil {
			key = keyOf(request)
		}
		return gates.stop(history.BeforeMember, rpc, key)
	}
	c.Answer = func() relay.Wait { return gates.stop(history.AfterMember, rpc, key) }
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

// watches is a stream of watches at the rear.
func (o *outside) watches(c *relay.Call) {
	w := &watching{proxy: o.proxy}
	c.Up = func(b []byte) relay.Wait {
		if r := new(pb.WatchRequest); proto.Unmarshal(b, r) == nil {
			w.asks(r)
		}
		return nil
	}
	c.Down = words(w.delivers)
}
