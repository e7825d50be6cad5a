package etcd

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

func TestWipe(t *testing.T) {
	t.Parallel()
	c := start(t, 3)
	for _, key := range []string{"a", "\x00", "\xff\xff"} {
		put(t, c, key, "value")
	}
	lease, err := c.Client().Grant(soon(t), 3600)
	require.NoError(t, err)
	_, err = c.Client().Put(soon(t), "leased", "value", clientv3.WithLease(lease.ID))
	require.NoError(t, err)
	_, others := leader(t, c)
	require.NoError(t, others[0].Stop(soon(t)))

	require.NoError(t, c.Wipe(soon(t)))
	require.True(t, others[0].Running())
	for _, m := range c.Members {
		resp, err := m.Client().Get(soon(t), "\x00", clientv3.WithFromKey(), clientv3.WithSerializable())
		require.NoError(t, err)
		require.Empty(t, resp.Kvs, "%s still has keys", m.Name)
		leases, err := m.Client().Leases(soon(t))
		require.NoError(t, err)
		require.Empty(t, leases.Leases, "%s still has leases", m.Name)
	}
	require.NoError(t, others[0].Cut())
	require.NoError(t, c.Wipe(soon(t)), "a new cluster can be wiped")
	require.False(t, others[0].IsCut())
	require.ErrorContains(t, c.Wipe(gone(t)), "was not wiped")
}

// authenticated enables authentication with a root and a user "reader" who may read what begins with "r".
func authenticated(t testing.TB, c *Cluster) {
	t.Helper()
	ctx, a := soon(t), c.Client()
	do := func(_ any, err error) {
		t.Helper()
		require.NoError(t, err)
	}
	do(a.UserAdd(ctx, "root", Root))
	do(a.RoleAdd(ctx, "root"))
	do(a.UserGrantRole(ctx, "root", "root"))
	do(a.UserAdd(ctx, "reader", "letters"))
	do(a.RoleAdd(ctx, "readers"))
	do(a.RoleGrantPermission(ctx, "readers", "r", "s", clientv3.PermissionType(clientv3.PermRead)))
	do(a.UserGrantRole(ctx, "reader", "readers"))
	do(a.AuthEnable(ctx))
}

func TestAuthentication(t *testing.T) {
	t.Parallel()
	c := start(t, 3)
	put(t, c, "r1", "value")
	authenticated(t, c)

	_, err := c.Client().Get(soon(t), "r1")
	require.ErrorIs(t, err, rpctypes.ErrUserEmpty)
	require.Equal(t, "value", truth(t, c, "r1"), "the truth needs no user")

	root, err := c.Dial("root", Root)
	require.NoError(t, err)
	_, err = root.Put(soon(t), "r2", "value")
	require.NoError(t, err)
	reader, err := c.Members[1].dialAs("reader", "letters")
	require.NoError(t, err)
	_, err = reader.Get(soon(t), "r2")
	require.NoError(t, err)
	_, err = reader.Get(soon(t), "x")
	require.ErrorIs(t, err, rpctypes.ErrPermissionDenied)
	require.NoError(t, reader.Close(), "who dials may close")
	_, err = c.Dial("reader", "wrong")
	require.ErrorIs(t, err, rpctypes.ErrAuthFailed)

	_, others := leader(t, c)
	require.NoError(t, others[0].Stop(soon(t)))
	require.NoError(t, others[0].Restart(soon(t)), "a member comes back with authentication on")
	require.NoError(t, others[0].compact(soon(t), 0))

	require.NoError(t, c.Wipe(soon(t)))
	put(t, c, "key", "value")
	for _, m := range c.Members {
		users, err := m.Client().UserList(soon(t))
		require.NoError(t, err)
		require.Empty(t, users.Users, m.Name)
		roles, err := m.Client().RoleList(soon(t))
		require.NoError(t, err)
		require.Empty(t, roles.Roles, m.Name)
		_, err = m.Client().Get(soon(t), "key", clientv3.WithSerializable())
		require.NoError(t, err, m.Name)
	}
	began := time.Now()
	authenticated(t, c)
	require.Less(t, time.Since(began), 5*time.Second)
}
