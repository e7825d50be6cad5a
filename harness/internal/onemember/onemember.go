// Package onemember is what the tests of the parts stand on: one etcd member, and the proxies a test puts before it,
// over one history.
package onemember

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/etcd"
	"ghostroute/harness/history"
	"ghostroute/harness/onreal"
	"ghostroute/harness/program"
	"ghostroute/harness/proxy"
)

// Fixture is one member and what a test needs around it. Its assertions end the test.
type Fixture struct {
	*require.Assertions
	T       *testing.T
	Ctx     context.Context // ends after 30 s
	History *history.History
	Cluster *etcd.Cluster
}

// Start boots the member of a test that runs in parallel with others. All of it ends with the test.
func Start(t *testing.T) *Fixture {
	t.Helper()
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	h := history.New()
	c, err := etcd.Start(ctx, etcd.Config{Members: 1, Dir: t.TempDir(), History: h,
		Programs: program.Alike(onreal.Program(t))})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return &Fixture{Assertions: require.New(t), T: t, Ctx: ctx, History: h, Cluster: c}
}

// Member is the member's address.
func (f *Fixture) Member() string { return f.Cluster.Members[0].Endpoint() }

// Proxy starts a proxy before the member.
func (f *Fixture) Proxy(name string, v proxy.Variant) *proxy.Proxy {
	f.T.Helper()
	m := f.Cluster.Members[0]
	p, err := proxy.Start(f.Ctx, proxy.Config{Name: name, Variant: v, History: f.History,
		Program: onreal.Program(f.T), Dir: f.T.TempDir(),
		Upstream: []proxy.Upstream{{Name: m.Name, Addr: m.Endpoint(), ID: m.ID()}}})
	f.NoError(err)
	f.T.Cleanup(func() { f.NoError(p.Close()) })
	return p
}
