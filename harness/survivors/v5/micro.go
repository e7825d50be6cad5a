package main

import (
	"net/http"
	"time"

	"go-micro.dev/v5/registry"
	"go-micro.dev/v5/registry/cache"
	"go-micro.dev/v5/registry/etcd"
)

// modules are what the version consists of: go-micro, and where that is another the module of its etcd registry.
var modules = []string{"go-micro.dev/v5"}

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
	newRegistry  = etcd.NewEtcdRegistry
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
func newCache(r microRegistry) cache.Cache {
	return cache.New(r, cache.WithTTL(time.Nanosecond), cache.WithMinimumRetryInterval(time.Nanosecond))
}

// newRouter is nil: this version has no api/router.
func newRouter(microRegistry) (endpoint func(*http.Request) error, stop func() error) {
	return nil, nil
}
