package etcd

import (
	"context"
	"fmt"

	"ghostroute/harness/history"
)

// Leader returns the member that all running members follow, those that are cut off apart. It waits for there to be
// one.
func (c *Cluster) Leader(ctx context.Context) (*Member, error) {
	var lead *Member
	err := c.wait(ctx, func() (why string) {
		lead, why = c.leader()
		return why
	})
	return lead, err
}

// leader returns the leader, or why there is none.
func (c *Cluster) leader() (*Member, string) {
	nodes := c.connected()
	if len(nodes) == 0 {
		return nil, "no leader: every member is stopped or cut off"
	}
	lead := nodes[0].server.state().lead
	for _, n := range nodes {
		if other := n.server.state().lead; other == 0 || other != lead {
			return nil, fmt.Sprintf("no leader that all follow: %s follows %s, %s follows %s",
				nodes[0].Name, c.nameOf(lead), n.Name, c.nameOf(other))
		}
	}
	for _, n := range nodes {
		if n.server.id() == lead {
			return n.Member, ""
		}
	}
	return nil, fmt.Sprintf("no leader: the members still follow one that is stopped or cut off, %s", c.nameOf(lead))
}

// nameOf is the name of the running member whose raft id this is.
func (c *Cluster) nameOf(id uint64) string {
	if id == 0 {
		return "none"
	}
	for _, n := range c.running() {
		if n.server.id() == id {
			return n.Name
		}
	}
	return fmt.Sprintf("%x", id)
}

// MoveLeader has the leader hand over to the member to, and returns once all follow it. It does nothing if all do
// already.
func (c *Cluster) MoveLeader(ctx context.Context, to *Member) error {
	for moved := false; ; {
		from, err := c.Leader(ctx)
		if err != nil {
			return fmt.Errorf("leadership did not move to %s: %w", to.Name, err)
		}
		if from == to {
			if moved {
				to.record(history.MoveLeader, history.End, "")
			}
			return nil
		}
		if !moved {
			if !to.Running() || to.IsCut() {
				return fmt.Errorf("leadership did not move from %s to %s: %s is stopped or cut off", from.Name, to.Name, to.Name)
			}
			to.record(history.MoveLeader, history.Fire, "from "+from.Name)
			moved = true
		}
		if err := c.transfer(ctx, from, to); err != nil {
			return fmt.Errorf("leadership did not move from %s to %s: %w", from.Name, to.Name, err)
		}
	}
}

// transfer has from, the leader, hand over to the member to. It returns nil once from follows to, or when the attempt
// is lost and another may be made.
func (c *Cluster) transfer(ctx context.Context, from, to *Member) error {
	var f, t *node
	for _, n := range c.connected() {
		switch n.Member {
		case from:
			f = &n
		case to:
			t = &n
		}
	}
	switch {
	case t == nil:
		return fmt.Errorf("%s is stopped or cut off", to.Name)
	case f == nil:
		return nil
	}
	// raft forgets a transfer that took longer than an election timeout, and etcd would wait for it for ever.
	attempt, cancel := context.WithTimeout(ctx, 2*c.cfg.Election)
	defer cancel()
	err := f.server.moveLeader(attempt, t.server.id())
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// handOver has m hand leadership to a connected member, if m leads and there is one. Its failure is ignored: m stops
// anyway.
func (c *Cluster) handOver(ctx context.Context, m *Member) {
	var to *Member
	leads := false
	for _, n := range c.connected() {
		if n.Member == m {
			leads = n.server.state().lead == n.server.id()
		} else if to == nil {
			to = n.Member
		}
	}
	if leads && to != nil {
		_ = c.transfer(ctx, m, to)
	}
}
