package etcd

import (
	"context"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Root is a client that calls the leader without a socket, and ctx with root's rights for its calls: they are answered
// whatever the cluster's authentication says, and not by a member that is cut off. The client ends with the leader's
// server; do not close it.
func (c *Cluster) Root(ctx context.Context) (context.Context, *clientv3.Client, error) {
	lead, err := c.Leader(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, n := range c.running() {
		if n.Member == lead {
			return n.asRoot(ctx), n.local, nil
		}
	}
	return nil, nil, fmt.Errorf("%s stopped meanwhile", lead.Name)
}

// Settle waits until every running member that is not cut off has applied whatever any of them has: unlike WaitApplied
// also what changes no key, as leases, compactions and users do.
func (c *Cluster) Settle(ctx context.Context) error {
	var last uint64
	for _, n := range c.connected() {
		last = max(last, n.server.AppliedIndex())
	}
	return c.waitIndex(ctx, last)
}
