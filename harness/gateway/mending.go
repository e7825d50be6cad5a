package gateway

import (
	"context"

	"github.com/micro/go-micro/v2/api"
	micro "github.com/micro/go-micro/v2/registry"

	"ghostroute/harness/mended"
	"ghostroute/harness/registry"
)

// mending looks services up in go-micro's registry/cache, mended, over its watcher, mended.
type mending struct {
	cache   mended.Cache
	watched *watchedRegistry
}

func newMending(cfg *Config, reg *registry.Registry) *mending {
	w := &watchedRegistry{Registry: reg, changed: make(chan struct{}), asked: map[string]bool{},
		listed: map[string]bool{}, began: true}
	m := &mending{watched: w}
	m.cache = mended.New(mendedWatch{w}, func(o *mended.Options) {
		if cfg.CacheTTL > 0 {
			o.TTL = cfg.CacheTTL
		}
	})
	return m
}

// mendedWatch is the registry, with the mended watcher in the place of go-micro's.
type mendedWatch struct{ *watchedRegistry }

func (w mendedWatch) Watch(opts ...micro.WatchOption) (micro.Watcher, error) {
	return w.watch(func() (micro.Watcher, error) {
		return mended.NewWatcher(mended.With(w.Client()), w.Options().Timeout, opts...)
	})
}

func (m *mending) lookUp(_ context.Context, service string) (*api.Service, error) {
	services, err := m.cache.GetService(service)
	if err != nil {
		return nil, err
	}
	return &api.Service{Name: service, Services: services}, nil
}

// awaitWatching waits for the one watch that there is: no router watches besides.
func (m *mending) awaitWatching(ctx context.Context) error { return m.watched.awaitWatches(ctx, 0) }

func (m *mending) close() error {
	m.watched.change(func() { m.watched.closed = true })
	m.cache.Stop()
	return nil
}
