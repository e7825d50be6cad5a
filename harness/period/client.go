package main

import (
	"context"
	"fmt"
	"reflect"
	"time"
	"unsafe"

	"github.com/coreos/etcd/clientv3"
	"github.com/micro/go-micro/v2/api/resolver"
	"github.com/micro/go-micro/v2/api/resolver/vpath"
	"github.com/micro/go-micro/v2/api/router"
	microrouter "github.com/micro/go-micro/v2/api/router/registry"
	"github.com/micro/go-micro/v2/registry"
	"github.com/micro/go-micro/v2/registry/cache"
	"github.com/micro/go-micro/v2/registry/etcd"
	"google.golang.org/grpc/connectivity"
)

// client is go-micro's registry as it makes itself, with the etcd client that it has made.
type client struct {
	registry.Registry
	etcd  *clientv3.Client
	calls *calls
}

// newClient has go-micro make its registry, and puts a tap into the etcd client under it.
func newClient(addresses []string, m mode, timeout, cacheTTL time.Duration) (*client, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	c := &client{Registry: etcd.NewRegistry(registry.Addrs(addresses...), registry.Timeout(timeout)), calls: newCalls()}
	made, err := private(c.Registry)
	if err != nil {
		return nil, err
	}
	if made == nil {
		return nil, fmt.Errorf("go-micro made itself no etcd client for %v, and does not say why", addresses)
	}
	c.etcd = made
	made.KV = clientv3.NewKVFromKVClient(&tapped{clientv3.RetryKVClient(made), m, c.calls}, made)
	made.Lease = &leases{made.Lease, c.calls}
	cache.DefaultTTL = cacheTTL // the router's cache has no other way to be given it
	return c, nil
}

// private is the etcd client that go-micro's registry/etcd keeps in a private field.
func private(r registry.Registry) (*clientv3.Client, error) {
	field := reflect.ValueOf(r).Elem().FieldByName("client")
	if want := reflect.TypeFor[*clientv3.Client](); !field.IsValid() || field.Type() != want {
		return nil, fmt.Errorf("go-micro's %T has no field client of type %s", r, want)
	}
	return *(**clientv3.Client)(unsafe.Pointer(field.UnsafeAddr())), nil
}

// connect waits until the client has a connection.
func (c *client) connect(ctx context.Context) error {
	conn := c.etcd.ActiveConnection()
	for state := conn.GetState(); state != connectivity.Ready; state = conn.GetState() {
		if !conn.WaitForStateChange(ctx, state) {
			return fmt.Errorf("there is no connection, its state is %s: %w", state, context.Cause(ctx))
		}
	}
	return nil
}

// newRouter is go-micro's API router as a gateway of the time had it. It begins to list and to watch at once.
func (c *client) newRouter() router.Router {
	return microrouter.NewRouter(router.WithHandler("http"), router.WithRegistry(c.Registry),
		router.WithResolver(vpath.NewResolver(resolver.WithNamespace(resolver.StaticNamespace("")))))
}
