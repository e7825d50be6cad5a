package etcd

import (
	"context"
	"fmt"
	"time"
)

// WaitApplied waits until every running member that is not cut off has applied the revision rev: until a serializable
// read on any of them is answered at rev or later. rev <= 0 stands for the highest revision that any running member
// has.
func (c *Cluster) WaitApplied(ctx context.Context, rev int64) error {
	if rev <= 0 {
		for _, n := range c.running() {
			rev = max(rev, n.server.state().rev)
		}
	}
	return c.wait(ctx, func() string {
		nodes := c.connected()
		if len(nodes) == 0 {
			return fmt.Sprintf("no member applies revision %d: every member is stopped or cut off", rev)
		}
		for _, n := range nodes {
			if has := n.server.state().rev; has < rev {
				return fmt.Sprintf("%s has applied revision %d and waited for %d", n.Name, has, rev)
			}
		}
		return ""
	})
}

// WaitCaughtUp waits until every running member that is not cut off has applied whatever any of them knows to be
// committed: unlike WaitApplied also what changes no key, as leases, compactions and users do. That an entry is
// applied a member counts only after it has answered for it (etcdserver/server.go:1919), that it is committed before
// (800).
func (c *Cluster) WaitCaughtUp(ctx context.Context) error {
	var last uint64
	for _, n := range c.connected() {
		last = max(last, n.server.state().committed)
	}
	return c.waitIndex(ctx, last)
}

// waitIndex waits until every running member that is not cut off has applied raft's entry of this index: unlike a
// revision it counts what changes no key.
func (c *Cluster) waitIndex(ctx context.Context, index uint64) error {
	return c.wait(ctx, func() string {
		for _, n := range c.connected() {
			if has := n.server.state().index; has < index {
				return fmt.Sprintf("%s has applied raft's entry %d and waited for %d", n.Name, has, index)
			}
		}
		return ""
	})
}

// pollEvery is how often a condition that etcd does not announce is looked at.
const pollEvery = 500 * time.Microsecond

// wait looks until missing returns "" or ctx ends, the cluster closes or a member dies; the error then says what was
// missing last.
func (c *Cluster) wait(ctx context.Context, missing func() string) error {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		why := missing()
		if why == "" {
			return nil
		}
		for _, n := range c.running() {
			if err := n.server.died(); err != nil {
				return fmt.Errorf("%s: %w", why, err)
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", why, context.Cause(ctx))
		case <-ticker.C:
		}
	}
}

// bound is ctx that ends when the cluster closes, too.
func (c *Cluster) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	bound, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(c.ctx, func() { cancel(context.Cause(c.ctx)) })
	return bound, func() {
		stop()
		cancel(nil)
	}
}
