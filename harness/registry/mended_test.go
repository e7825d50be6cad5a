package registry_test

import (
	"testing"
	"time"

	micro "github.com/micro/go-micro/v2/registry"
	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness/keys"
	"ghostroute/harness/proxy"
	"ghostroute/harness/registry"
)

// mended is a registry as shipped, or not.
func (f *fixture) mended(client, address string, is bool) *registry.Registry {
	r, err := registry.New(f.Ctx, registry.Config{Client: client, Addresses: []string{address}, Mended: is,
		History: f.History})
	f.NoError(err)
	f.T.Cleanup(func() { f.NoError(r.Close()) })
	return r
}

// TestARegisterThatReadsItsOwnGhost has an instance start again behind a proxy that remembers its key, while its lease
// is still there.
func TestARegisterThatReadsItsOwnGhost(t *testing.T) {
	for _, c := range []struct {
		name    string
		variant proxy.Variant
		mended  bool
		keys    int64
	}{
		{"shipped, behind a stock proxy", proxy.Stock(), false, 0},
		{"mended, behind a stock proxy", proxy.Stock(), true, 1},
		{"shipped, behind one that revalidates", proxy.Revalidate(), false, 1},
		{"mended, behind one that revalidates", proxy.Revalidate(), true, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := start(t)
			p1, p2 := f.Proxy("p1", c.variant), f.Proxy("p2", c.variant)
			v1a := service("greeter", "v1", "v1-a", "127.0.0.1:1")
			f.NoError(f.mended("v1-a", p1.Addr(), c.mended).Register(v1a, micro.RegisterTTL(time.Minute)))
			key := keys.Node("greeter", "v1-a")
			_, err := f.registry("ops", "", p2.Addr()).Client().Get(f.Ctx, key, clientv3.WithSerializable())
			f.NoError(err)
			deleted, err := f.Cluster.Client().Delete(f.Ctx, key) // on the member, and the lease stays
			f.NoError(err)
			f.EqualValues(1, deleted.Deleted)

			f.NoError(f.mended("v1-a", p2.Addr(), c.mended).Register(v1a, micro.RegisterTTL(time.Minute)))
			truth, err := f.Cluster.Client().Get(f.Ctx, key)
			f.NoError(err)
			f.Equal(c.keys, truth.Count)
		})
	}
}

// TestDeregisterAndTheLease asks for a lease whose key has been deregistered.
func TestDeregisterAndTheLease(t *testing.T) {
	for name, mended := range map[string]bool{"shipped": false, "mended": true} {
		t.Run(name, func(t *testing.T) {
			f := start(t)
			r := f.mended("v1-a", f.Proxy("p1", proxy.Stock()).Addr(), mended)
			v1a := service("greeter", "v1", "v1-a", "127.0.0.1:1")
			f.NoError(r.Register(v1a, micro.RegisterTTL(time.Minute)))
			truth, err := f.Cluster.Client().Get(f.Ctx, keys.Node("greeter", "v1-a"))
			f.NoError(err)
			f.Len(truth.Kvs, 1)
			f.NoError(r.Deregister(v1a))
			left, err := f.Cluster.Client().TimeToLive(f.Ctx, clientv3.LeaseID(truth.Kvs[0].Lease))
			f.NoError(err)
			f.Equal(mended, left.TTL < 0, "%d s are left of the lease", left.TTL)
			f.Len(f.writes("v1-a", "revoke"), map[bool]int{true: 1}[mended])

			f.NoError(r.Register(v1a, micro.RegisterTTL(time.Minute)))
			f.NoError(r.Deregister(v1a), "of a lease that is another by now")
		})
	}
}
