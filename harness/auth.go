package harness

import (
	"context"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness/keys"
)

// Root is the name and the password of the user that every client of a bench with Topology.Auth is, unless a test makes it another.
const Root = "root"

func (b *Bench) rootIf() string {
	if b.Topology.Auth {
		return Root
	}
	return ""
}

func (b *Bench) enableAuth(ctx context.Context) error {
	c := b.Cluster.Client()
	if _, err := c.UserAdd(ctx, Root, Root); err != nil {
		return fmt.Errorf("authentication was not turned on: %w", err)
	}
	if _, err := c.UserGrantRole(ctx, Root, Root); err != nil {
		return fmt.Errorf("authentication was not turned on: %w", err)
	}
	if _, err := c.AuthEnable(ctx); err != nil {
		return fmt.Errorf("authentication was not turned on: %w", err)
	}
	return nil
}

// User adds a user who may read the registry and nothing else; his password is his name.
func (b *Bench) User(ctx context.Context, name string) error {
	c, err := b.Cluster.Dial(Root, Root)
	if err != nil {
		return err
	}
	defer c.Close()
	role := name + "-reads"
	if _, err := c.RoleAdd(ctx, role); err != nil {
		return err
	}
	if _, err := c.RoleGrantPermission(ctx, role, keys.Registry, clientv3.GetPrefixRangeEnd(keys.Registry), clientv3.PermissionType(clientv3.PermRead)); err != nil {
		return err
	}
	if _, err := c.UserAdd(ctx, name, name); err != nil {
		return err
	}
	_, err = c.UserGrantRole(ctx, name, role)
	return err
}
