package gateway

import (
	"context"
	"slices"

	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness/history"
	"ghostroute/harness/registry"
)

// Read reads a range of the registry over the gateway's own connection, by its read mode, and records it as the
// gateway's answer about a service: what go-micro does for another question than GetService's. services are the names
// that it found, sorted.
func (g *Gateway) Read(
	ctx context.Context, service, key string, opts ...clientv3.OpOption,
) (r history.Resolve, services []string) {
	reg := g.Registry()
	r = history.Resolve{Began: g.cfg.History.Now(), Service: service, List: true, Reading: string(g.cfg.Kind),
		Mode: string(reg.Config().Mode), Endpoints: []history.Endpoint{}}
	reads := reg.Trace(ctx, func() {
		if reg.Client() == nil {
			r.Err = "a registry that is a process reads what go-micro reads, and nothing else"
			return
		}
		resp, err := reg.Client().Get(ctx, key, append(opts, clientv3.WithSerializable())...)
		if err != nil {
			r.Err = err.Error()
			return
		}
		for _, kv := range resp.Kvs {
			name, endpoints, err := registry.Decode(kv.Value)
			if err != nil {
				continue // another program's key
			}
			services = append(services, name)
			if name == service {
				r.Endpoints = append(r.Endpoints, endpoints...)
			}
		}
	})
	if n := len(reads); n > 0 {
		reads[n-1].Provenance(&r)
	}
	g.cfg.History.Add(history.Event{Who: g.cfg.Name, Resolve: &r})
	slices.Sort(services)
	return r, slices.Compact(services)
}
