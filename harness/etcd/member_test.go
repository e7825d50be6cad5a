package etcd

import (
	"context"
	"fmt"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness/history"
)

func TestStopAndRestart(t *testing.T) {
	t.Parallel()
	c := start(t, 3)
	_, others := leader(t, c)
	m := others[1]
	put(t, c, "before", "1")
	endpoint := m.Endpoint()

	require.NoError(t, m.Stop(soon(t)))
	require.False(t, m.Running())
	require.Zero(t, m.Applied())
	_, err := net.Dial("tcp", endpoint)
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	require.ErrorContains(t, m.Stop(soon(t)), "cannot be stopped: it is not running")
	require.ErrorContains(t, m.Kill(), "cannot be killed: it is not running")
	require.ErrorContains(t, m.Cut(), "cannot be cut off: it is not running")
	require.ErrorContains(t, m.compact(soon(t), 0), "cannot compact: it is not running")
	require.ErrorContains(t, c.MoveLeader(soon(t), m), "is stopped or cut off")

	rev := put(t, c, "meanwhile", "2")
	require.NoError(t, c.WaitApplied(soon(t), rev), "a stopped member is not waited for")

	require.NoError(t, m.Restart(soon(t)))
	require.Equal(t, endpoint, m.Endpoint())
	require.Equal(t, rev, m.Applied(), "a restarted member has applied what was acknowledged before")
	require.ErrorContains(t, m.Restart(soon(t)), "cannot be restarted: it is running")
	for _, key := range []string{"before", "meanwhile"} {
		resp, err := m.Client().Get(soon(t), key, clientv3.WithSerializable())
		require.NoError(t, err)
		require.Len(t, resp.Kvs, 1, "%s is missing", key)
	}
	require.Equal(t, []string{"stop fire " + m.Name, "stop end " + m.Name}, faults(c))
}

func TestLeaderStops(t *testing.T) {
	t.Parallel()
	c := start(t, 3)
	lead, _ := leader(t, c)
	term := termOf(t, lead)
	require.NoError(t, lead.Stop(soon(t)))
	next, err := c.Leader(soon(t))
	require.NoError(t, err)
	require.NotEqual(t, lead, next)
	// A server says its term a moment after it leads; on a busy machine more than one election may have been needed.
	require.Eventually(t, func() bool { return termOf(t, next) > term }, 5*time.Second, time.Millisecond,
		"leadership was to be handed over by an election")
	put(t, c, "key", "value")
	require.NoError(t, lead.Restart(soon(t)))
	require.NoError(t, c.WaitApplied(soon(t), 0))
}

// termOf is raft's term, as a member has it.
func termOf(t *testing.T, m *Member) uint64 {
	t.Helper()
	r, err := m.Client().Status(soon(t), m.Endpoint())
	require.NoError(t, err)
	return r.RaftTerm
}

func TestLeaderIsKilled(t *testing.T) {
	t.Parallel()
	c := start(t, 3)
	put(t, c, "key", "value")
	lead, _ := leader(t, c)
	require.NoError(t, lead.Kill())
	require.Equal(t, "value", truth(t, c, "key"), "the truth waits for a new leader")
	require.NoError(t, lead.Restart(soon(t)))
	require.Equal(t, []string{"kill fire " + lead.Name, "kill end " + lead.Name}, faults(c))
}

func TestAllStopAndRestart(t *testing.T) {
	t.Parallel()
	for name, members := range map[string]int{"one": 1, "three": 3} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := start(t, members)
			rev := put(t, c, "key", "value")
			for _, m := range c.Members {
				require.NoError(t, m.Stop(soon(t)))
			}
			require.ErrorContains(t, c.WaitApplied(gone(t), 1), "every member is stopped or cut off")
			_, err := c.Truth(gone(t), "key")
			require.ErrorContains(t, err, "every member is stopped or cut off")
			if members > 1 {
				err := c.Members[0].Restart(gone(t))
				require.ErrorContains(t, err, "m1 did not come back: m1 ")
				require.False(t, c.Members[0].Running(), "a member that did not come back must not be left running")
			}
			var wg sync.WaitGroup
			for _, m := range c.Members {
				wg.Go(func() { require.NoError(t, m.Restart(soon(t))) })
			}
			wg.Wait()
			require.Equal(t, "value", truth(t, c, "key"))
			require.NoError(t, c.WaitApplied(soon(t), rev))
		})
	}
}

func TestMoveLeader(t *testing.T) {
	t.Parallel()
	c := start(t, 3)
	_, others := leader(t, c)
	for _, m := range append(others, c.Members...) {
		require.NoError(t, c.MoveLeader(soon(t), m))
		lead, _ := leader(t, c)
		require.Equal(t, m, lead)
	}
	require.NoError(t, c.MoveLeader(soon(t), c.Members[2]), "moving leadership to where it is does nothing")
	require.Len(t, faults(c), 2*5)
	require.Equal(t, "move-leader fire "+others[0].Name, faults(c)[0])
	require.Equal(t, "move-leader end "+others[0].Name, faults(c)[1])
}

func TestCompact(t *testing.T) {
	t.Parallel()
	c := start(t, 3)
	old := put(t, c, "key", "1")
	now := put(t, c, "key", "2")
	require.NoError(t, c.Members[1].compact(soon(t), now))
	for _, m := range c.Members {
		_, err := m.Client().Get(soon(t), "key", clientv3.WithRev(old), clientv3.WithSerializable())
		require.ErrorIs(t, err, rpctypes.ErrCompacted, m.Name)
	}
	_, err := c.Truth(soon(t), "key", clientv3.WithRev(old))
	require.ErrorIs(t, err, rpctypes.ErrCompacted, "what is no member's weakness is not asked again")
	require.ErrorIs(t, c.Members[0].compact(soon(t), now), rpctypes.ErrCompacted)
	put(t, c, "key", "3")
	h := history.New()
	c.Record(h)
	require.NoError(t, c.WaitApplied(soon(t), 0))
	require.NoError(t, c.Members[0].compact(soon(t), 0), "0 is the revision the member has")
	require.Equal(t, []string{"compact fire m1"}, faults(c))
	require.Equal(t, "revision 4", h.Events()[0].Fault.Detail)
}

// compact has the cluster forget what was before the revision rev; rev <= 0 stands for the revision this member has. It
// returns once every running member that is not cut off has forgotten it.
func (m *Member) compact(ctx context.Context, rev int64) error {
	for _, n := range m.cluster.running() {
		if n.Member != m {
			continue
		}
		if rev <= 0 {
			rev = n.server.state().rev
		}
		root, c, err := n.server.root(ctx)
		if err != nil {
			return err
		}
		if _, err := c.Compact(root, rev, clientv3.WithCompactPhysical()); err != nil {
			return fmt.Errorf("%s did not compact at revision %d: %w", m.Name, rev, err)
		}
		m.record(history.Compact, history.Fire, fmt.Sprintf("revision %d", rev))
		return m.cluster.waitIndex(ctx, n.server.state().index)
	}
	return fmt.Errorf("%s cannot compact: it is not running", m.Name)
}

// dialAs returns another client of this member only, as user if that is not "". The cluster closes it if the caller has
// not.
func (m *Member) dialAs(user, password string) (*clientv3.Client, error) {
	client, err := newClient(m.log, []string{m.Endpoint()}, user, password)
	if err != nil {
		return nil, fmt.Errorf("no client of %s as user %q: %w", m.Name, user, err)
	}
	return m.cluster.own(client)
}
