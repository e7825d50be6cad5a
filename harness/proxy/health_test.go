package proxy_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/proxy"
	"ghostroute/harness/wait"
)

// /health is about the way to a member, and about nothing that the proxy remembers.
func TestHealth(t *testing.T) {
	f := start(t)
	p := f.Proxy("p1", proxy.Stock())
	c := f.client(p)
	f.put(f.Cluster.Client(), "k", "1")
	value, _, _ := f.get(c, "k")
	require.Equal(t, "1", value)
	f.put(f.Cluster.Client(), "k", "2")
	healthy := func() bool { return p.Health(f.Ctx) == nil }
	require.NoError(t, wait.Until(f.Ctx, "a proxy that lies is not healthy", healthy))

	require.NoError(t, p.Link("m1").Cut())
	require.ErrorContains(t, p.Health(f.Ctx), "503")
	value, _, _ = f.get(c, "k")
	require.Equal(t, "1", value, "what it remembers it answers all the same")
	p.Link("m1").Mend()
	require.NoError(t, wait.Until(f.Ctx, "a proxy with a way to its member is not healthy", healthy))

	p.Stop()
	require.ErrorContains(t, p.Health(f.Ctx), "p1 has no /health: it is stopped")
}
