package gateway

import (
	"context"
	"net/http"

	"github.com/micro/go-micro/v2/api"
	"github.com/micro/go-micro/v2/api/resolver"
	"github.com/micro/go-micro/v2/api/router"

	"ghostroute/harness/registry"
)

// Library is what a gateway that remembers looks services up with: the seam of a GoMicro gateway's registry.
type Library string

const (
	// Shipped is go-micro's router with its registry/cache.
	Shipped Library = ""
	// Mended is go-micro's registry/cache over its watcher, each with its own defects mended (package mended).
	Mended Library = "mended"
	// Resolver is etcd's own gRPC resolver, client/v3/naming: it lists serializably when it starts, and then watches.
	Resolver Library = "resolver"
)

// Libraries are all there are.
func Libraries() []Library { return []Library{Shipped, Mended, Resolver} }

// Reads says whether a gateway reads the registry again after it has started: a resolver does not.
func (l Library) Reads() bool { return l != Resolver }

// remembering is a router over a memory of the registry, of no go-micro router's making.
type remembering struct {
	router.Router // none: go-micro's handler calls Route and nothing else
	names         resolver.Resolver
	memory        memory
}

// memory is what remembers.
type memory interface {
	lookUp(ctx context.Context, service string) (*api.Service, error)
	awaitWatching(ctx context.Context) error
	close() error
}

func (r *remembering) Route(req *http.Request) (*api.Service, error) {
	name, err := r.names.Resolve(req)
	if err != nil {
		return nil, err
	}
	return r.memory.lookUp(req.Context(), name.Name)
}

func (r *remembering) Close() error { return r.memory.close() }

// remember is the memory of cfg's library.
func remember(cfg *Config, reg *registry.Registry) memory {
	if cfg.Library == Resolver {
		return newResolving(reg)
	}
	return newMending(cfg, reg)
}
