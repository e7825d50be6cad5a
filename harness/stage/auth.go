package stage

import (
	"context"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness/etcd"
	"ghostroute/harness/history"
	"ghostroute/harness/keys"
)

// Root is the name and the password of the user that every client of a stage with authentication is, unless a test
// makes it another.
const Root = etcd.Root

// root is Root where authentication is on.
func (s *Stage) root() string {
	if s.auth {
		return Root
	}
	return ""
}

// EnableAuth turns authentication on, with the user root, and waits until every member has applied it.
func (s *Stage) EnableAuth(ctx context.Context) error {
	c := s.Cluster.Client()
	_, err := c.UserAdd(ctx, Root, Root)
	if err == nil {
		_, err = c.UserGrantRole(ctx, Root, Root)
	}
	if err == nil {
		_, err = c.AuthEnable(ctx)
	}
	if err != nil {
		return fmt.Errorf("authentication was not turned on: %w", err)
	}
	s.auth = true
	return s.Cluster.WaitCaughtUp(ctx)
}

// User adds a user who may do that with every key that begins with prefix, and nothing else; the password is the name,
// the role is RoleOf.
func (s *Stage) User(ctx context.Context, name, prefix string, may clientv3.PermissionType) error {
	return s.Administer(ctx, "user", func(c *clientv3.Client) error {
		if _, err := c.RoleAdd(ctx, RoleOf(name)); err != nil {
			return err
		}
		if _, err := c.RoleGrantPermission(ctx, RoleOf(name), prefix, keys.PrefixEnd(prefix), may); err != nil {
			return err
		}
		if _, err := c.UserAdd(ctx, name, name); err != nil {
			return err
		}
		_, err := c.UserGrantRole(ctx, name, RoleOf(name))
		return err
	})
}

// RoleOf is the role of a user made with User.
func RoleOf(user string) string { return user + "-may" }

// Administer does something to users or roles on a member as root, records it as an operation of that name, and waits
// until every member has applied it: what changes no key changes no revision.
func (s *Stage) Administer(ctx context.Context, op string, do func(*clientv3.Client) error) error {
	c, err := s.Cluster.Dial(Root, Root)
	if err != nil {
		return err
	}
	defer c.Close()
	w := history.Write{Began: s.History.Now(), Op: op, Via: s.Cluster.Members[0].Name}
	if err = do(c); err != nil {
		w.Err = err.Error()
	}
	s.History.Add(history.Event{Who: Root, Write: &w})
	if err != nil {
		return err
	}
	return s.Cluster.WaitCaughtUp(ctx)
}
