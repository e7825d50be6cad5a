package etcd

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
)

func TestCutFollower(t *testing.T) {
	t.Parallel()
	c := start(t, 3)
	_, others := leader(t, c)
	m := others[0]
	before := put(t, c, "key", "old")
	require.NoError(t, c.WaitApplied(soon(t), before))

	require.NoError(t, m.Cut())
	require.True(t, m.IsCut())
	require.ErrorContains(t, m.Cut(), "is already")
	require.ErrorContains(t, c.MoveLeader(soon(t), m), "is stopped or cut off")
	rev := put(t, c, "key", "new")
	require.NoError(t, c.WaitApplied(soon(t), rev), "a member that is cut off is not waited for")
	require.Equal(t, before, m.Applied(), "a member that is cut off applies nothing")
	resp, err := m.Client().Get(soon(t), "key", clientv3.WithSerializable())
	require.NoError(t, err)
	require.Equal(t, "old", string(resp.Kvs[0].Value), "it still serves what it has")
	require.Equal(t, "new", truth(t, c, "key"))

	require.NoError(t, m.Mend())
	require.ErrorContains(t, m.Mend(), "is not cut off")
	require.NoError(t, c.WaitApplied(soon(t), rev))
	require.Equal(t, rev, m.Applied())
	require.Equal(t, []string{"cut-peer fire " + m.Name, "cut-peer end " + m.Name}, faults(c))
}

func TestCutLeader(t *testing.T) {
	t.Parallel()
	c := start(t, 3)
	old, _ := leader(t, c)
	put(t, c, "key", "old")
	require.NoError(t, old.Cut())
	next, _ := leader(t, c)
	require.NotEqual(t, old, next)
	_, err := next.Client().Put(soon(t), "key", "new")
	require.NoError(t, err)
	require.Equal(t, "new", truth(t, c, "key"))
	require.NoError(t, old.Mend())
	require.NoError(t, c.WaitApplied(soon(t), 0))
}

// TestCutOutlivesRestart restarts one member while another is cut off, which the new server cannot know by itself, and
// the one that is cut off.
func TestCutOutlivesRestart(t *testing.T) {
	t.Parallel()
	c := start(t, 5)
	_, others := leader(t, c)
	m, restarted := others[0], others[1]
	before := put(t, c, "key", "old")
	require.NoError(t, c.WaitApplied(soon(t), before))
	require.NoError(t, m.Cut())
	require.NoError(t, restarted.Kill())
	require.NoError(t, restarted.Restart(soon(t)))
	require.NoError(t, c.MoveLeader(soon(t), restarted))
	rev := put(t, c, "key", "new")
	require.NoError(t, c.WaitApplied(soon(t), rev))
	require.Equal(t, before, m.Applied(), "it is still cut off, from the new leader too")

	require.NoError(t, m.Kill())
	require.ErrorContains(t, m.Restart(soon(t)), "Mend it first")
	require.NoError(t, m.Mend(), "a stopped member can be mended")
	require.NoError(t, m.Restart(soon(t)))
	require.Equal(t, rev, m.Applied())
}

// gone is a context that has ended.
func gone(t testing.TB) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
