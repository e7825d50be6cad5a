package main

import (
	"net/http"
	"time"

	etcd "github.com/asim/go-micro/plugins/registry/etcd/v3"
	"github.com/asim/go-micro/v3/api/router"
	registryrouter "github.com/asim/go-micro/v3/api/router/registry"
	"github.com/asim/go-micro/v3/registry"
	"github.com/asim/go-micro/v3/registry/cache"
)

// modules are what the version consists of: go-micro, and where that is another the module of its etcd registry.
var modules = []string{"github.com/asim/go-micro/v3", "github.com/asim/go-micro/plugins/registry/etcd/v3"}

type (
	microRegistry = registry.Registry
	microWatcher  = registry.Watcher
	microService  = registry.Service
	microNode     = registry.Node
	microEndpoint = registry.Endpoint
	microResult   = registry.Result

	getOption   = registry.GetOption
	listOption  = registry.ListOption
	watchOption = registry.WatchOption
)

var (
	newRegistry  = etcd.NewRegistry
	addrs        = registry.Addrs
	registerTTL  = registry.RegisterTTL
	watchService = registry.WatchService
	errNotFound  = registry.ErrNotFound
)

// watched is the service that a watch is of, "" for all.
func watched(opts []watchOption) string {
	var o registry.WatchOptions
	for _, f := range opts {
		f(&o)
	}
	return o.Service
}

// newCache is a registry/cache whose copies are old at once.
func newCache(r microRegistry) cache.Cache { return cache.New(r, cache.WithTTL(time.Nanosecond)) }

// newRouter is an api/router/registry: what it says about a request's endpoint, and its end. Both are nil where the
// version has none.
func newRouter(r microRegistry) (endpoint func(*http.Request) error, stop func() error) {
	is := registryrouter.NewRouter(router.WithRegistry(r))
	return func(r *http.Request) error {
		_, err := is.Endpoint(r)
		return err
	}, is.Close
}
