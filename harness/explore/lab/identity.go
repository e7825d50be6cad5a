package lab

import (
	"context"
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness/explore/check"
	"ghostroute/harness/stage"
)

// everything is the role that may read and write every key.
const everything = "everything"

// enableAuth makes each client a user, turns authentication on, and has everybody fetch a token.
func (m *Machine) enableAuth() error {
	ctx, cancel := context.WithTimeout(m.ctx, patience)
	defer cancel()
	root, c, err := m.cluster.Root(ctx)
	if err != nil {
		return err
	}
	users := []string{stage.Root}
	for i := range m.plan.Clients {
		users = append(users, name('g', i))
	}
	if _, err := c.RoleAdd(root, everything); err != nil {
		return err
	}
	if _, err := c.RoleGrantPermission(root, everything, "\x00", "\x00", clientv3.PermissionType(clientv3.PermReadWrite)); err != nil {
		return err
	}
	for _, user := range users {
		role := everything
		if user == stage.Root {
			role = stage.Root
		}
		if _, err := c.UserAdd(root, user, user); err != nil {
			return err
		}
		if _, err := c.UserGrantRole(root, user, role); err != nil {
			return err
		}
		m.granted(user, true)
	}
	if _, err := c.AuthEnable(root); err != nil {
		return err
	}
	if err := m.cluster.Settle(ctx); err != nil {
		return err
	}
	for _, user := range users {
		if err := m.fetchToken(ctx, user); err != nil {
			return err
		}
	}
	return m.cluster.Settle(ctx)
}

// fetchToken has a user log in at a member that has a leader.
func (m *Machine) fetchToken(ctx context.Context, user string) error {
	for _, x := range m.cluster.Members {
		if m.cut[x.Name] {
			continue
		}
		d, err := m.doorOf(user, x.Name)
		if err != nil {
			return err
		}
		r, err := pb.NewAuthClient(d.conn).Authenticate(ctx, &pb.AuthenticateRequest{Name: user, Password: user})
		if err != nil {
			return fmt.Errorf("%s got no token: %w", user, err)
		}
		m.tokens[user] = r.Token
		return nil
	}
	return fmt.Errorf("%s got no token: every member is cut off", user)
}

// tokenFor is the token that a client sends: one that the member which may be asked knows. etcd's client finds out by being refused
// and logging in again, and asks a second time; a plan asks once.
func (m *Machine) tokenFor(who, at string) string {
	if !m.plan.Auth {
		return ""
	}
	if who == "" {
		who = stage.Root
	}
	if at != "" && at[0] == 'p' {
		at = m.asks[number(at)]
	}
	if known, ok := m.behind[at]; ok {
		return known[who]
	}
	return m.tokens[who]
}

func (m *Machine) granted(user string, may bool) {
	m.grants = append(m.grants, check.Grant{From: m.history.Now(), User: user, Key: "\x00", End: "\x00", Allowed: may})
}

// permit gives a user the role, or takes it.
func (m *Machine) permit(user string, may bool) error {
	ctx, cancel := context.WithTimeout(m.ctx, patience)
	defer cancel()
	root, c, err := m.cluster.Root(ctx)
	if err != nil {
		return err
	}
	if may {
		_, err = c.UserGrantRole(root, user, everything)
	} else {
		_, err = c.UserRevokeRole(root, user, everything)
	}
	if err != nil {
		return fmt.Errorf("%s's role did not change: %w", user, err)
	}
	m.granted(user, may)
	return nil
}

// expireToken has the members forget a user's token, as they do after five minutes and at once when the password is changed, and has
// the user log in again.
func (m *Machine) expireToken(user string) error {
	ctx, cancel := context.WithTimeout(m.ctx, patience)
	defer cancel()
	root, c, err := m.cluster.Root(ctx)
	if err != nil {
		return err
	}
	if _, err := c.UserChangePassword(root, user, user); err != nil {
		return err
	}
	if err := m.cluster.Settle(ctx); err != nil {
		return err
	}
	return m.fetchToken(ctx, user)
}
