//go:build !real

package proxy_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness/keys"
	"ghostroute/harness/proxy"
)

func TestAHeldWatchDeliversOnRelease(t *testing.T) {
	f := start(t)
	p := f.Proxy("p1", proxy.Watching())
	c := f.client(p)
	f.put(c, "k", "old")
	require.Eventually(t, func() bool { // until the watch stands it clears everything now and then
		f.get(c, "k")
		_, _, s := f.get(c, "k")
		return s == "hit"
	}, 5*time.Second, time.Millisecond)

	gate := p.Hold(proxy.Hold{RPC: "Watch", Key: "k"})
	_, err := f.Cluster.Client().Put(f.Ctx, "k", "new")
	require.NoError(t, err)
	require.NoError(t, gate.Caught(f.Ctx))
	got, _, s := f.get(c, "k")
	require.Equal(t, []any{"old", "hit"}, []any{got, s})
	gate.Release()
	require.Eventually(t, func() bool { got, _, _ := f.get(c, "k"); return got == "new" }, 5*time.Second, time.Millisecond)
}

// TestThatAWatchBrokeOffIsHeldToo: a proxy that watches the registry empties its cache when its watch breaks off, as
// soon as it hears of that.
func TestThatAWatchBrokeOffIsHeldToo(t *testing.T) {
	const key = keys.Registry + "hello/a"
	f := start(t)
	p := f.Proxy("p1", proxy.Watching())
	c := f.client(p)
	f.put(c, key, "old")
	require.Eventually(t, func() bool {
		f.get(c, key)
		_, _, s := f.get(c, key)
		return s == "hit"
	}, 5*time.Second, time.Millisecond)

	gate := p.Hold(proxy.Hold{RPC: "Watch", Key: key})
	require.NoError(t, p.Link("m1").Cut())
	require.NoError(t, gate.Caught(f.Ctx))
	_, err := f.Cluster.Client().Put(f.Ctx, key, "new")
	require.NoError(t, err)
	p.Link("m1").Mend()
	require.NoError(t, p.Reach(f.Ctx, true))
	got, _, s := f.get(c, key)
	require.Equal(t, []any{"old", "hit"}, []any{got, s})
	gate.Release()
	require.Eventually(t, func() bool { got, _, _ := f.get(c, key); return got == "new" }, 5*time.Second, time.Millisecond)
}

// A proxy asks whether who watches may read, by a Range of its own, and again when a connection broke: a gate once held
// that in place of a client's read, and the explorer's model did not understand what came of it.
func TestAGateHoldsNoQuestionOfTheProxysOwn(t *testing.T) {
	f := start(t)
	p := f.Proxy("p1", proxy.Variant{})
	c := f.client(p)
	gate := p.Hold(proxy.Hold{RPC: "Range"})
	created := <-c.Watch(f.Ctx, "k", clientv3.WithCreatedNotify())
	require.NoError(t, created.Err())
	require.True(t, created.Created)

	read := make(chan error, 1)
	go func() {
		_, err := c.Get(f.Ctx, "k")
		read <- err
	}()
	require.NoError(t, gate.Caught(f.Ctx))
	gate.Release()
	require.NoError(t, <-read)
}
