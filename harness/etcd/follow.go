package etcd

import (
	"context"
	"fmt"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/server/v3/storage/mvcc"

	"ghostroute/harness/history"
)

// Follow writes a commit to h for every change of a key from the revision from on, in the order of truth; from <= 0
// stands for the next one. It watches one member's store, inside the server, and goes on at another when that member is
// stopped or cut off. It ends when stop is called or the cluster closes; every change that the member had applied by
// then is in h when stop returns.
func (c *Cluster) Follow(h *history.History, from int64) (stop func()) {
	c.mu.Lock()
	closed := c.closed
	if !closed {
		c.followers.Add(1)
	}
	c.mu.Unlock()
	if closed {
		return func() {}
	}
	if from <= 0 {
		for _, n := range c.running() {
			from = max(from, n.server.state().rev+1)
		}
	}
	f := &follower{cluster: c, history: h, next: max(from, 1)}
	first := f.open() // here, because etcd lets a watch that begins in the past wait for up to 100 ms
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer c.followers.Done()
		defer close(done)
		f.run(ctx, first)
	}()
	return func() {
		cancel()
		<-done
	}
}

// follower is one Follow.
type follower struct {
	cluster *Cluster
	history *history.History
	next    int64 // the first revision that is not in the history
}

// memberWatch is a watch on one member.
type memberWatch struct {
	node
	stream stream
}

// open begins a watch on a member, or returns nil if all are stopped or cut off.
func (f *follower) open() *memberWatch {
	nodes := f.cluster.connected()
	if len(nodes) == 0 {
		return nil
	}
	s, err := nodes[0].server.watch(f.next)
	if err != nil {
		return nil
	}
	return &memberWatch{node: nodes[0], stream: s}
}

// run watches one member after another until ctx ends or the cluster closes.
func (f *follower) run(ctx context.Context, s *memberWatch) {
	for {
		if s != nil {
			over := f.watch(ctx, s)
			s.stream.Close()
			if over {
				return
			}
		}
		changed, closed := f.cluster.changes()
		if s = f.open(); s != nil {
			continue
		}
		if closed {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// watch writes what the member has applied and applies. It says whether that was all, because ctx ended or the cluster
// closed; otherwise the member is stopped or cut off, or has forgotten where to begin.
func (f *follower) watch(ctx context.Context, s *memberWatch) (over bool) {
	ended := ctx.Done()
	for last := int64(-1); last < 0 || f.next <= last; { // last is the last revision to write, once that is known
		changed, closed := f.cluster.changes()
		if closed && last < 0 {
			last = s.server.state().rev
			continue
		}
		if !f.cluster.connects(s.node) {
			f.drain(s)
			return false
		}
		select {
		case resp := <-s.stream.Chan():
			if !f.write(s, resp) {
				return false
			}
		case <-ended:
			ended, last = nil, s.server.state().rev
		case <-changed:
		}
	}
	return true
}

// drain writes what the watch has delivered already.
func (f *follower) drain(s *memberWatch) {
	for {
		select {
		case resp := <-s.stream.Chan():
			if !f.write(s, resp) {
				return
			}
		default:
			return
		}
	}
}

// write adds resp to the history. It returns false if the watch is over because its beginning was compacted: the
// history then has a gap, and says so.
func (f *follower) write(s *memberWatch, resp mvcc.WatchResponse) bool {
	if resp.CompactRevision > 0 {
		f.history.Add(history.Event{Who: s.Name, Fault: &history.Fault{
			Kind: history.Compact, Op: history.End, Target: s.Name,
			Detail: fmt.Sprintf("the commits of revisions %d to %d were compacted before they were seen",
				f.next, resp.CompactRevision-1),
		}})
		f.next = resp.CompactRevision
		return false
	}
	for _, e := range resp.Events {
		commit := &history.Commit{Revision: e.Kv.ModRevision, Op: "put",
			Key: string(e.Kv.Key), Lease: e.Kv.Lease, Value: string(e.Kv.Value)}
		if e.Type == mvccpb.Event_DELETE {
			commit.Op = "delete"
		}
		f.history.Add(history.Event{Who: s.Name, Commit: commit})
		f.next = e.Kv.ModRevision + 1
	}
	return true
}
