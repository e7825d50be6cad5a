package etcd

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"

	"ghostroute/harness/history"
)

// Truth reads key linearizably on a member, the leader where there is one, as root and past every proxy: it changes no
// cache and is answered whether authentication is on or not. Where the member changes under it, it asks again until ctx
// ends.
func (c *Cluster) Truth(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	for {
		lead, err := c.Leader(ctx)
		if err != nil {
			return nil, fmt.Errorf("truth of %q cannot be read: %w", key, err)
		}
		for _, n := range c.running() {
			if n.Member != lead {
				continue
			}
			resp, err := n.local.Get(n.asRoot(ctx), key, opts...)
			switch {
			case err == nil:
				return resp, nil
			case ctx.Err() != nil:
				return nil, fmt.Errorf("truth of %q was not read on %s: %w", key, n.Name, context.Cause(ctx))
			case !transient(err):
				return nil, fmt.Errorf("truth of %q was not read on %s: %w", key, n.Name, err)
			}
		}
	}
}

// transient says whether a call on a server failed because the server stops or changes its leader.
func transient(err error) bool {
	var e rpctypes.EtcdError
	return errors.As(err, &e) && e.Code() == codes.Unavailable || errors.Is(err, context.Canceled)
}

// WaitApplied waits until every running member that is not cut off has applied the revision rev: until a serializable
// read on any of them is answered at rev or later. rev <= 0 stands for the highest revision that any running member
// has.
func (c *Cluster) WaitApplied(ctx context.Context, rev int64) error {
	if rev <= 0 {
		for _, n := range c.running() {
			rev = max(rev, n.server.KV().Rev())
		}
	}
	return c.wait(ctx, func() string {
		nodes := c.connected()
		if len(nodes) == 0 {
			return fmt.Sprintf("no member applies revision %d: every member is stopped or cut off", rev)
		}
		for _, n := range nodes {
			if has := n.server.KV().Rev(); has < rev {
				return fmt.Sprintf("%s has applied revision %d and waited for %d", n.Name, has, rev)
			}
		}
		return ""
	})
}

// waitIndex waits until every running member that is not cut off has applied raft's entry of this index: unlike a
// revision it counts what changes no key.
func (c *Cluster) waitIndex(ctx context.Context, index uint64) error {
	return c.wait(ctx, func() string {
		for _, n := range c.connected() {
			if has := n.server.AppliedIndex(); has < index {
				return fmt.Sprintf("%s has applied raft's entry %d and waited for %d", n.Name, has, index)
			}
		}
		return ""
	})
}

// Compact has the cluster forget what was before the revision rev; rev <= 0 stands for the revision this member has. It
// returns once every running member that is not cut off has forgotten it.
func (m *Member) Compact(ctx context.Context, rev int64) error {
	for _, n := range m.cluster.running() {
		if n.Member != m {
			continue
		}
		if rev <= 0 {
			rev = n.server.KV().Rev()
		}
		if _, err := n.local.Compact(n.asRoot(ctx), rev, clientv3.WithCompactPhysical()); err != nil {
			return fmt.Errorf("%s did not compact at revision %d: %w", m.Name, rev, err)
		}
		m.record(history.Compact, history.Fire, fmt.Sprintf("revision %d", rev))
		return m.cluster.waitIndex(ctx, n.server.AppliedIndex())
	}
	return fmt.Errorf("%s cannot compact: it is not running", m.Name)
}
