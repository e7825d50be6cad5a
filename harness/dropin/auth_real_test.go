//go:build real

package dropin_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// One user reads what another may not. With the stock cache the other is told it all the same, as the control, and with
// no other; a right that is taken away is gone at the next read.
func TestEachReaderIsAskedForItsRights(t *testing.T) {
	t.Parallel()
	s := start(t)
	_, err := s.member.Put(s.ctx, keys+"v1-a", "x")
	require.NoError(t, err)
	grant := func() error {
		_, err := s.member.RoleGrantPermission(s.ctx, "reader", keys, clientv3.GetPrefixRangeEnd(keys),
			clientv3.PermissionType(clientv3.PermRead))
		return err
	}
	for _, user := range []string{"root", "alice", "bob"} {
		_, err = s.member.UserAdd(s.ctx, user, user)
		require.NoError(t, err)
	}
	for user, role := range map[string]string{"root": "root", "alice": "reader"} {
		_, err = s.member.RoleAdd(s.ctx, role)
		require.NoError(t, err)
		_, err = s.member.UserGrantRole(s.ctx, user, role)
		require.NoError(t, err)
	}
	require.NoError(t, grant())
	_, err = s.member.AuthEnable(s.ctx)
	require.NoError(t, err)
	s.member = s.clientOf("root", s.etcd)

	for _, mode := range []string{"stock", "off", "revalidate", "consistent", "coherent"} {
		addr := s.port().Addr()
		proc := s.proxy(s.dropIn, mode, addr, "--experimental-kv-cache="+mode)
		alice, bob := s.clientOf("alice", addr), s.clientOf("bob", addr)
		read := func(c *clientv3.Client) error {
			r, err := c.Get(s.ctx, keys, clientv3.WithPrefix(), clientv3.WithSerializable())
			if err == nil {
				require.Len(t, r.Kvs, 1)
			}
			return err
		}
		require.NoError(t, read(alice))
		require.NoError(t, read(alice))
		_, err := s.member.RoleRevokePermission(s.ctx, "reader", keys, clientv3.GetPrefixRangeEnd(keys))
		require.NoError(t, err)
		for name, c := range map[string]*clientv3.Client{"bob": bob, "alice": alice} {
			if mode == "stock" {
				require.NoError(t, read(c), "the control keeps it from %s", name)
			} else {
				require.ErrorIs(t, read(c), rpctypes.ErrPermissionDenied, "%s, %s", mode, name)
			}
		}
		require.NoError(t, grant())
		require.NoError(t, read(alice), mode)
		if mode == "consistent" || mode == "coherent" {
			require.Positive(t, s.metrics(addr)["passed_total token"])
			require.Zero(t, s.metrics(addr)["hits_total"])
		}
		proc.Kill()
	}
}
