package etcd

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Wipe makes the cluster as good as new, so that one bench after another may use it: every member runs and none is cut
// off; there is no key, no lease, no user and no role; authentication is off. All members have applied that when it
// returns. Revisions go on from where they were. A client that still writes makes it fail or undoes it: close clients
// first.
func (c *Cluster) Wipe(ctx context.Context) error {
	if err := c.wipe(ctx); err != nil {
		return fmt.Errorf("the cluster in %s was not wiped: %w", c.cfg.Dir, err)
	}
	return nil
}

func (c *Cluster) wipe(ctx context.Context) error {
	var stopped []*Member
	for _, m := range c.Members {
		if m.IsCut() {
			if err := m.Mend(); err != nil {
				return err
			}
		}
		if !m.Running() {
			stopped = append(stopped, m)
		}
	}
	if err := all(stopped, func(m *Member) error { return m.Restart(ctx) }); err != nil {
		return err
	}
	lead, err := c.Leader(ctx)
	if err != nil {
		return err
	}
	for _, n := range c.running() {
		if n.Member != lead {
			continue
		}
		if err := n.wipe(ctx); err != nil {
			return fmt.Errorf("on %s: %w", n.Name, err)
		}
		return c.waitIndex(ctx, n.server.state().index)
	}
	return fmt.Errorf("%s stopped meanwhile", lead.Name)
}

// wipe deletes everything, through n.
func (n node) wipe(ctx context.Context) error {
	ctx, root, err := n.server.root(ctx)
	if err != nil {
		return err
	}
	if _, err := root.Delete(ctx, "\x00", clientv3.WithFromKey()); err != nil {
		return fmt.Errorf("its keys were not deleted: %w", err)
	}
	leases, err := root.Leases(ctx)
	if err != nil {
		return fmt.Errorf("its leases were not listed: %w", err)
	}
	for _, lease := range leases.Leases {
		if _, err := root.Revoke(ctx, lease.ID); err != nil && !errors.Is(err, rpctypes.ErrLeaseNotFound) {
			return fmt.Errorf("its lease %x was not revoked: %w", lease.ID, err)
		}
	}
	auth, err := n.server.authEnabled(ctx)
	if err != nil {
		return fmt.Errorf("it does not say whether authentication is on: %w", err)
	}
	if auth {
		if _, err := root.AuthDisable(ctx); err != nil {
			return fmt.Errorf("its authentication was not disabled: %w", err)
		}
	}
	users, err := root.UserList(ctx)
	if err != nil {
		return fmt.Errorf("its users were not listed: %w", err)
	}
	for _, user := range users.Users {
		if _, err := root.UserDelete(ctx, user); err != nil {
			return fmt.Errorf("its user %q was not deleted: %w", user, err)
		}
	}
	roles, err := root.RoleList(ctx)
	if err != nil {
		return fmt.Errorf("its roles were not listed: %w", err)
	}
	for _, role := range roles.Roles {
		if _, err := root.RoleDelete(ctx, role); err != nil {
			return fmt.Errorf("its role %q was not deleted: %w", role, err)
		}
	}
	return nil
}
