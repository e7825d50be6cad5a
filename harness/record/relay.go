// Package record relays a client's gRPC to a proxy or a member, byte for byte, and keeps what it read: which of its
// reads a proxy may answer from its cache.
package record

import (
	"context"
	"crypto/tls"
	"maps"
	"net"
	"path"
	"slices"
	"strings"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/proto"

	"ghostroute/harness/link"
	"ghostroute/harness/relay"
)

// Relay is one that runs. Close ends it, and every call that passes it.
type Relay struct {
	*relay.Relay

	mu    sync.Mutex
	calls map[string]int
	reads map[string]*Read
	order []*Read
}

// Read is a request, and how often it was made.
type Read struct {
	Request *pb.RangeRequest
	Times   int
	Clients []string // the hosts that made it
}

// Listen relays what comes to listen, in plain text, to an endpoint, which must be there; secure is for the way to it,
// nil for none.
func Listen(ctx context.Context, listen, to string, secure *tls.Config) (*Relay, error) {
	scheme, host, found := strings.Cut(to, "://")
	if !found {
		host = to
	}
	target := link.To("tcp", host)
	conn, err := target(ctx)
	if err != nil {
		return nil, err
	}
	_ = conn.Close()
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, err
	}
	if scheme == "http" {
		secure = nil
	}
	r := &Relay{calls: map[string]int{}, reads: map[string]*Read{}}
	r.Relay = relay.Start(relay.Config{Listener: l, To: target, Secure: secure, Authority: host,
		Open: func(c *relay.Call) {
			r.called(c.Method)
			if c.Method == pb.KV_Range_FullMethodName {
				c.Up = func(request []byte) relay.Wait { r.note(c.From, request); return nil }
			}
		}})
	return r, nil
}

// Calls are how often each method was called, by its name: "Range", "Watch". A stream is one call.
func (r *Relay) Calls() map[string]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.calls)
}

// Reads are the reads that were made, each once, in the order in which they were first made.
func (r *Relay) Reads() []Read {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]Read, 0, len(r.order))
	for _, read := range r.order {
		all = append(all, *read)
	}
	return all
}

func (r *Relay) called(method string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls[path.Base(method)]++
}

// note keeps a read.
func (r *Relay) note(from string, request []byte) {
	var req pb.RangeRequest
	if proto.Unmarshal(request, &req) != nil || len(req.Key) == 0 {
		return // the other end refuses it
	}
	client, _, _ := net.SplitHostPort(from)
	r.mu.Lock()
	defer r.mu.Unlock()
	read := r.reads[string(request)]
	if read == nil {
		read = &Read{Request: &req}
		r.reads[string(request)] = read
		r.order = append(r.order, read)
	}
	read.Times++
	if !slices.Contains(read.Clients, client) {
		read.Clients = append(read.Clients, client)
	}
}
