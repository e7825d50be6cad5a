// Package router is go-micro v2.9.1's api/router/registry/registry.go over the cache of package mended, and mended as
// that says. It is no part of package mended because go-micro's router starts goroutines by being imported.
package router

import (
	"slices"

	"github.com/micro/go-micro/v2/registry"
)

// without are the services without the nodes of one.
func without(services []*registry.Service, gone *registry.Service) (left []*registry.Service) {
	for _, s := range services {
		some := *s
		some.Nodes = slices.DeleteFunc(slices.Clone(s.Nodes), func(n *registry.Node) bool {
			return slices.ContainsFunc(gone.Nodes, func(g *registry.Node) bool { return g.Id == n.Id })
		})
		if len(some.Nodes) > 0 {
			left = append(left, &some)
		}
	}
	return left
}

// drop forgets a service's endpoints.
func (r *registryRouter) drop(service string) {
	r.Lock()
	defer r.Unlock()
	for key, s := range r.eps {
		if s.Name == service {
			delete(r.eps, key)
			delete(r.ceps, key)
		}
	}
}
