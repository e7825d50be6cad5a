package registry_test

import (
	"testing"
	"time"

	micro "github.com/micro/go-micro/v2/registry"
	"github.com/stretchr/testify/require"

	"ghostroute/harness/history"
	"ghostroute/harness/keys"
	"ghostroute/harness/registry"

	clientv3 "go.etcd.io/etcd/client/v3"
)

func TestKeysAreGoMicros(t *testing.T) {
	f := start(t)
	r := f.registry("v1-a", "", f.Member())
	for _, name := range []string{"greeter", "go.micro.srv.greeter", "a/b"} {
		f.NoError(r.Register(service(name, "v1", "v1-a", "127.0.0.1:1"), micro.RegisterTTL(30*time.Second)))
		all, err := f.Cluster.Truth(f.Ctx, keys.Service(name), clientv3.WithPrefix())
		f.NoError(err)
		f.Len(all.Kvs, 1)
		f.Equal(keys.Node(name, "v1-a"), string(all.Kvs[0].Key))

		decoded, endpoints, err := registry.Decode(all.Kvs[0].Value)
		f.NoError(err)
		f.Equal(name, decoded)
		f.Equal([]history.Endpoint{{ID: "v1-a", Version: "v1", Address: "127.0.0.1:1"}}, endpoints)
	}
}

func TestDecodeRefusesWhatIsNoValue(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"", "null", "[]", "x"} {
		_, _, err := registry.Decode([]byte(value))
		require.ErrorContains(t, err, "none of go-micro's registry", value)
	}
}

func TestEndpointsAreSortedAndNeverNil(t *testing.T) {
	t.Parallel()
	require.Equal(t, []history.Endpoint{}, registry.Endpoints(nil))
	require.Equal(t, []history.Endpoint{
		{ID: "v1-a", Version: "v1", Address: "127.0.0.1:1"},
		{ID: "v1-a", Version: "v1", Address: "127.0.0.1:3"},
		{ID: "v2-a", Version: "v2", Address: "127.0.0.1:2"},
	}, registry.Endpoints([]*micro.Service{
		service("greeter", "v2", "v2-a", "127.0.0.1:2"),
		service("greeter", "v1", "v1-a", "127.0.0.1:3"),
		service("greeter", "v1", "v1-a", "127.0.0.1:1"),
	}))
}
