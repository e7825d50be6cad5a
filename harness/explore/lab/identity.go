package lab

import (
	"context"
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness/explore/check"
	"ghostroute/harness/explore/plan"
	"ghostroute/harness/keys"
	"ghostroute/harness/stage"
)

// everything is the role that may read and write every key.
const everything = "everything"

// enableAuth makes each client a user, turns authentication on, and has every user fetch a token.
func (m *Machine) enableAuth(ctx context.Context) error {
	if err := m.stage.EnableAuth(ctx); err != nil {
		return err
	}
	m.granted(stage.Root, true)
	users := []string{stage.Root}
	err := m.asRoot(ctx, func(root context.Context, c *clientv3.Client) error {
		if _, err := c.RoleAdd(root, everything); err != nil {
			return err
		}
		all := clientv3.PermissionType(clientv3.PermReadWrite)
		if _, err := c.RoleGrantPermission(root, everything, "\x00", keys.FromKey, all); err != nil {
			return err
		}
		for i := range m.plan.Clients {
			user := plan.Name('g', i)
			if _, err := c.UserAdd(root, user, user); err != nil {
				return err
			}
			if _, err := c.UserGrantRole(root, user, everything); err != nil {
				return err
			}
			m.granted(user, true)
			users = append(users, user)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, user := range users {
		if err := m.fetchToken(ctx, user); err != nil {
			return err
		}
	}
	return m.stage.Cluster.WaitCaughtUp(ctx)
}

// asRoot does something in the leader with root's rights, and waits until every member has applied it.
func (m *Machine) asRoot(ctx context.Context, do func(context.Context, *clientv3.Client) error) error {
	root, c, err := m.stage.Cluster.AsRoot(ctx)
	if err != nil {
		return err
	}
	if err := do(root, c); err != nil {
		return err
	}
	return m.stage.Cluster.WaitCaughtUp(ctx)
}

// fetchToken has a user log in at a member that has a leader.
func (m *Machine) fetchToken(ctx context.Context, user string) error {
	for _, x := range m.stage.Cluster.Members {
		if m.cut[x.Name] {
			continue
		}
		c, err := m.connOf(user, x.Name)
		if err != nil {
			return err
		}
		r, err := pb.NewAuthClient(c).Authenticate(ctx, &pb.AuthenticateRequest{Name: user, Password: user})
		if err != nil {
			return fmt.Errorf("%s got no token: %w", user, err)
		}
		m.tokens[user] = r.Token
		return nil
	}
	return fmt.Errorf("%s got no token: every member is cut off", user)
}

// tokenFor is the token that a client sends: one that the member which may be asked knows. etcd's client finds out by
// being refused and logging in again, and asks a second time; a plan asks once.
func (m *Machine) tokenFor(w way) string {
	if known, ok := m.behind[w.member]; ok {
		return known[user(w.client)]
	}
	return m.tokens[user(w.client)]
}

// user is the user that a call is made as: root, where the plan names no client.
func user(client string) string {
	if client == "" {
		return stage.Root
	}
	return client
}

func (m *Machine) granted(user string, may bool) {
	m.grants = append(m.grants,
		check.Grant{From: m.history.Now(), User: user, Key: "\x00", End: keys.FromKey, Allowed: may})
}

// permit gives a user the role, or takes it.
func (m *Machine) permit(ctx context.Context, s plan.Step) error {
	err := m.asRoot(ctx, func(root context.Context, c *clientv3.Client) (err error) {
		if s.Verb == plan.Permit {
			_, err = c.UserGrantRole(root, s.Target, everything)
		} else {
			_, err = c.UserRevokeRole(root, s.Target, everything)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("%s's role did not change: %w", s.Target, err)
	}
	m.granted(s.Target, s.Verb == plan.Permit)
	return nil
}

// expireToken has the members forget a user's token, as they do after five minutes and at once when the password is
// changed, and has the user log in again.
func (m *Machine) expireToken(ctx context.Context, s plan.Step) error {
	err := m.asRoot(ctx, func(root context.Context, c *clientv3.Client) error {
		_, err := c.UserChangePassword(root, s.Target, s.Target)
		return err
	})
	if err != nil {
		return err
	}
	return m.fetchToken(ctx, s.Target)
}
