package proxy

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"ghostroute/harness/history"
	"ghostroute/harness/relay"
)

// Hold says which RPCs a gate holds. RPC is required.
type Hold struct {
	// "Range", "Put", "DeleteRange", "Txn", "LeaseRevoke" …, or "Watch" for what a watch delivers
	RPC   string
	Key   string        // only requests (for a watch: events) whose first key starts with it; "" for all
	Point history.Point // the zero value is history.AfterMember
	// how many to hold; what comes after passes. 0 means 1; Watch always holds all until it is released
	Count int
}

// Gate is a hold that is set on one proxy; nil holds nothing. Release it; a proxy that stops loses what its gates hold.
type Gate struct {
	hold  Hold
	proxy *Proxy

	mu     sync.Mutex
	left   int
	behind int64         // see Behind
	caught chan struct{} // closed when the first RPC stands at the gate
	open   chan struct{} // closed by Next, Release and Lose
	ended  bool          // by Release or Lose
	lost   bool          // set by Lose before open is closed
}

// Hold sets a gate. Whether it fired is in the history: "arm", "fire" for each RPC it caught, "end".
func (p *Proxy) Hold(h Hold) *Gate {
	if h.Point == "" {
		h.Point = history.AfterMember
	}
	if h.Count == 0 {
		h.Count = 1
	}
	g := &Gate{hold: h, proxy: p, left: h.Count, caught: make(chan struct{}), open: make(chan struct{})}
	g.tell(history.Arm)
	p.gates.add(g)
	return g
}

// Caught waits until an RPC stands at the gate.
func (g *Gate) Caught(ctx context.Context) error {
	if g == nil {
		return nil
	}
	select {
	case <-g.caught:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("no %s of %q came to be held at %s (%s): %w",
			g.hold.RPC, g.hold.Key, g.proxy.cfg.Name, g.hold.Point, context.Cause(ctx))
	}
}

// Behind is how many responses with events the proxy's watches were sent since the first stood at the gate: with one
// client that watches one range, what waits behind it. It is counted for what is held on its way to a client.
func (g *Gate) Behind() int64 {
	if g == nil {
		return 0
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.behind
}

// comes counts a response that a member sent.
func (g *Gate) comes() {
	select {
	case <-g.caught:
	default:
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.hold.RPC == "Watch" && g.hold.Point == history.BeforeClient {
		g.behind++
	}
}

// Release releases what is held and holds nothing more.
func (g *Gate) Release() { g.end(false) }

// Lose ends what is held with an error, as a connection that breaks does: held before the member the request never
// comes to it, held after it the answer never comes back. It holds nothing more.
func (g *Gate) Lose() { g.end(true) }

func (g *Gate) end(lost bool) {
	if g == nil || g.ends() {
		return
	}
	g.proxy.gates.remove(g)
	g.tell(history.End)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lost = lost
	close(g.open)
}

// ends says whether it had ended before, and has it be ended.
func (g *Gate) ends() (before bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	before, g.ended = g.ended, true
	return before
}

// Next has what stands at a watch's gate go on, and holds what comes after it.
func (g *Gate) Next() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ended {
		return
	}
	close(g.open)
	g.open = make(chan struct{})
}

func (g *Gate) tell(op history.FaultOp) {
	var met int64
	if op == history.End {
		met = g.Behind()
	}
	g.proxy.cfg.History.Add(history.Event{Who: g.proxy.cfg.Name, Fault: &history.Fault{
		Kind: history.Hold, Op: op, Target: g.proxy.cfg.Name, RPC: g.hold.RPC, Key: g.hold.Key, Point: g.hold.Point,
		Met: met}})
}

// take counts an RPC that the gate holds, and gives what it waits for; nil where it does not hold it.
func (g *Gate) take(at history.Point, rpc, key string) (open <-chan struct{}) {
	if g.hold.RPC != rpc || g.hold.Point != at || !strings.HasPrefix(key, g.hold.Key) {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.left == 0 {
		return nil
	}
	if rpc != "Watch" {
		g.left--
	}
	g.tell(history.Fire)
	select {
	case <-g.caught:
	default:
		close(g.caught)
	}
	return g.open
}

// gates are the gates set on one proxy.
type gates struct {
	mu  sync.Mutex
	all []*Gate
}

func (s *gates) add(g *Gate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, g)
}

func (s *gates) remove(g *Gate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.all {
		if s.all[i] == g {
			s.all = append(s.all[:i:i], s.all[i+1:]...)
			return
		}
	}
}

// loseAll is what a process that dies does to its calls. To let them go on instead would leave it to chance whether a
// put that waits at the gate reaches the member before its caller is found to be gone.
func (s *gates) loseAll() {
	s.mu.Lock()
	all := s.all
	s.mu.Unlock()
	for _, g := range all {
		g.Lose()
	}
}

// comes counts a response with events that a member sent.
func (s *gates) comes() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.all {
		g.comes()
	}
}

// watched says whether a gate holds what a watch delivers, and a key whose events it holds.
func (s *gates) watched(c *pb.WatchCreateRequest) (key string, held bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.all {
		if g.hold.RPC == "Watch" && g.hold.Point == history.AfterMember && overlap(c, g.hold.Key) {
			return g.hold.Key, true
		}
	}
	return "", false
}

// pass waits at the first gate that takes the RPC until it is released or the call is given up.
func (s *gates) pass(ctx context.Context, at history.Point, rpc, key string) error {
	if ctx.Err() != nil {
		return waits(ctx, nil)
	}
	return waits(ctx, s.stop(at, rpc, key))
}

// stop has the first gate that takes the RPC hold it, and returns what waits there; nil where none does.
func (s *gates) stop(at history.Point, rpc, key string) relay.Wait {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.all {
		open := g.take(at, rpc, key)
		if open == nil {
			continue
		}
		return func(ctx context.Context) error {
			select {
			case <-open:
				if g.isLost() {
					return status.Error(codes.Unavailable, "lost on its way")
				}
				return nil
			case <-ctx.Done():
				return status.FromContextError(ctx.Err()).Err()
			}
		}
	}
	return nil
}

func (g *Gate) isLost() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.lost
}

// waits waits where there is something to wait for, unless the call was given up.
func waits(ctx context.Context, wait relay.Wait) error {
	switch {
	case ctx.Err() != nil:
		return status.FromContextError(ctx.Err()).Err()
	case wait == nil:
		return nil
	}
	return wait(ctx)
}
