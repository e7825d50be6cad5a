package etcd

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"ghostroute/harness/history"
	"ghostroute/harness/onreal"
	"ghostroute/harness/program"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen. Under the race detector beside other work nothing is quick.
const patience = 30 * time.Second

// soon is a context that ends with the test or its patience.
func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// start starts a cluster that is closed with the test.
func start(t testing.TB, members int) *Cluster {
	t.Helper()
	c, err := Start(soon(t), Config{Members: members, Dir: t.TempDir(), History: history.New(),
		Programs: program.Alike(onreal.Program(t))})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

// put writes key on the leader, because a client of all members may ask one that is cut off, and returns the revision.
func put(t testing.TB, c *Cluster, key, value string) int64 {
	t.Helper()
	lead, _ := leader(t, c)
	resp, err := lead.Client().Put(soon(t), key, value)
	require.NoError(t, err)
	return resp.Header.Revision
}

// truth is the value of key, "" if there is none.
func truth(t testing.TB, c *Cluster, key string) string {
	t.Helper()
	resp, err := c.Truth(soon(t), key)
	require.NoError(t, err)
	if len(resp.Kvs) == 0 {
		return ""
	}
	return string(resp.Kvs[0].Value)
}

// leader returns the leader and then the others.
func leader(t testing.TB, c *Cluster) (lead *Member, others []*Member) {
	t.Helper()
	lead, err := c.Leader(soon(t))
	require.NoError(t, err)
	for _, m := range c.Members {
		if m != lead {
			others = append(others, m)
		}
	}
	return lead, others
}

// faults are the faults in the history as "name op target".
func faults(c *Cluster) []string {
	var list []string
	for _, e := range c.history.Load().Events() {
		if e.Fault != nil {
			list = append(list, string(e.Fault.Kind)+" "+string(e.Fault.Op)+" "+e.Fault.Target)
		}
	}
	return list
}
