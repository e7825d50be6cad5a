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
		if err := n.wipe(n.asRoot(ctx)); err != nil {
			return fmt.Errorf("on %s: %w", n.Name, err)
		}
		return c.waitIndex(ctx, n.server.AppliedIndex())
	}
	return fmt.Errorf("%s stopped meanwhile", lead.Name)
}

// wipe deletes everything, through n. ctx is root's.
func (n node) wipe(ctx context.Context) error {
	if _, err := n.local.Delete(ctx, "\x00", clientv3.WithFromKey()); err != nil {
		return fmt.Errorf("its keys were not deleted: %w", err)
	}
	leases, err := n.local.Leases(ctx)
	if err != nil {
		return fmt.Errorf("its leases were not listed: %w", err)
	}
	for _, lease := range leases.Leases {
		if _, err := n.local.Revoke(ctx, lease.ID); err != nil && !errors.Is(err, rpctypes.ErrLeaseNotFound) {
			return fmt.Errorf("its lease %x was not revoked: %w", lease.ID, err)
		}
	}
	if n.server.AuthStore().IsAuthEnabled() {
		if _, err := n.local.AuthDisable(ctx); err != nil {
			return fmt.Errorf("its authentication was not disabled: %w", err)
		}
	}
	users, err := n.local.UserList(ctx)
	if err != nil {
		return fmt.Errorf("its users were not listed: %w", err)
	}
	for _, user := range users.Users {
		if _, err := n.local.UserDelete(ctx, user); err != nil {
			return fmt.Errorf("its user %q was not deleted: %w", user, err)
		}
	}
	roles, err := n.local.RoleList(ctx)
	if err != nil {
		return fmt.Errorf("its roles were not listed: %w", err)
	}
	for _, role := range roles.Roles {
		if _, err := n.local.RoleDelete(ctx, role); err != nil {
			return fmt.Errorf("its role %q was not deleted: %w", role, err)
		}
	}
	return nil
}
