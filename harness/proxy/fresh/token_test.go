package fresh_test

import (
	"context"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// The members say what a reader may read, each time: with a full cache no token is answered by what another filled.
func TestTheReadersOwnTokenIsChecked(t *testing.T) {
	s := start(t, 1, byDefault)
	s.put("k", "secret")
	admin := func(do func(context.Context, *clientv3.Client) error) {
		c, err := s.cluster.Dial("root", "root")
		s.NoError(err)
		s.NoError(do(s.ctx, c))
	}
	c := s.direct
	for _, user := range []string{"root", "alice", "bob"} {
		_, err := c.UserAdd(s.ctx, user, user)
		s.NoError(err)
	}
	_, err := c.UserGrantRole(s.ctx, "root", "root")
	s.NoError(err)
	_, err = c.RoleAdd(s.ctx, "reads")
	s.NoError(err)
	_, err = c.RoleGrantPermission(s.ctx, "reads", "k", "", clientv3.PermissionType(clientv3.PermRead))
	s.NoError(err)
	_, err = c.UserGrantRole(s.ctx, "alice", "reads")
	s.NoError(err)
	_, err = c.AuthEnable(s.ctx)
	s.NoError(err)
	tokenOf := func(user string) string {
		r, err := pb.NewAuthClient(s.up.ActiveConnection()).Authenticate(s.ctx,
			&pb.AuthenticateRequest{Name: user, Password: user})
		s.NoError(err)
		return r.Token
	}
	alice, bob := s.as(tokenOf("alice")), s.as(tokenOf("bob"))

	v, err := s.get(alice, "k")
	s.NoError(err)
	s.Equal("secret", v)
	s.tap.ranges()
	_, err = s.get(bob, "k")
	s.ErrorContains(err, "permission denied")
	_, err = s.get(s.as("made up"), "k")
	s.ErrorContains(err, "invalid auth token")
	_, err = s.get(s.ctx, "k")
	s.ErrorContains(err, "user name is empty")
	for _, r := range s.tap.ranges() {
		s.NotZero(r.MinModRevision, "the entry is there, and it is a confirmation that is refused")
	}

	gate := s.tap.hold()
	hers := s.readers(alice, 1, "k")
	<-gate.caught
	hers2 := s.readers(alice, 1, "k")
	s.waiting(2)
	soon, cancel := context.WithTimeout(bob, 10*time.Second)
	defer cancel()
	_, err = s.get(soon, "k")
	s.ErrorContains(err, "permission denied", "he neither waits for her answer nor shares the next")
	close(gate.open)
	s.Equal(read{value: "secret"}, <-hers)
	s.Equal(read{value: "secret"}, <-hers2)

	admin(func(ctx context.Context, c *clientv3.Client) error {
		_, err := c.RoleRevokePermission(ctx, "reads", "k", "")
		return err
	})
	_, err = s.get(alice, "k")
	s.Error(err, "her permission was revoked while the entry was warm")
	admin(func(ctx context.Context, c *clientv3.Client) error {
		_, err := c.UserDelete(ctx, "alice")
		return err
	})
	_, err = s.get(alice, "k")
	s.Error(err)
}
