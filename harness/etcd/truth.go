package etcd

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
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
			resp, err := n.get(ctx, key, opts...)
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

func (n node) get(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	root, c, err := n.server.root(ctx)
	if err != nil {
		return nil, err
	}
	return c.Get(root, key, opts...)
}

// transient says whether a call on a server failed because the server stops or changes its leader.
func transient(err error) bool {
	var e rpctypes.EtcdError
	return errors.As(err, &e) && e.Code() == codes.Unavailable || errors.Is(err, context.Canceled)
}

// AsRoot is a client that calls the leader alone, and ctx with root's rights for its calls: they are answered whatever
// the cluster's authentication says, and not by a member that is cut off. The client ends with the leader's server; do
// not close it.
func (c *Cluster) AsRoot(ctx context.Context) (context.Context, *clientv3.Client, error) {
	lead, err := c.Leader(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, n := range c.running() {
		if n.Member == lead {
			return n.server.root(ctx)
		}
	}
	return nil, nil, fmt.Errorf("%s stopped meanwhile", lead.Name)
}
