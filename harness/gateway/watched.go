package gateway

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/micro/go-micro/v2/api/router"
	micro "github.com/micro/go-micro/v2/registry"

	"ghostroute/harness/registry"
)

// watchedRegistry is the registry as go-micro's router sees it. It knows how far the router has come, and lets it end.
type watchedRegistry struct {
	*registry.Registry

	mu      sync.Mutex
	changed chan struct{}   // closed and replaced whenever what follows changes
	began   bool            // whether the router has listed the services
	listed  map[string]bool // the services it listed
	asked   map[string]bool // the services that were read
	watches int             // established and not ended
	closed  bool
}

func (f *watchedRegistry) change(how func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	how()
	close(f.changed)
	f.changed = make(chan struct{})
}

// ListServices is the router's first read, and its loop's condition: after an error it waits and lists again, and
// does not look whether it was closed until a list has succeeded (api/router/registry/registry.go, refresh). So once
// it was closed, it does.
func (f *watchedRegistry) ListServices(opts ...micro.ListOption) ([]*micro.Service, error) {
	services, err := f.Registry.ListServices(opts...)
	f.change(func() {
		if f.closed {
			services, err = nil, nil
		}
		if err != nil {
			return
		}
		f.began = true
		for _, s := range services {
			f.listed[s.Name] = true
		}
	})
	return services, err
}

func (f *watchedRegistry) GetService(name string, opts ...micro.GetOption) ([]*micro.Service, error) {
	services, err := f.Registry.GetService(name, opts...)
	f.change(func() { f.asked[name] = true })
	return services, err
}

func (f *watchedRegistry) Watch(opts ...micro.WatchOption) (micro.Watcher, error) {
	return f.watch(func() (micro.Watcher, error) { return f.Registry.Watch(opts...) })
}

// watch counts a watch.
func (f *watchedRegistry) watch(begin func() (micro.Watcher, error)) (micro.Watcher, error) {
	w, err := begin()
	if err != nil {
		return nil, err
	}
	f.change(func() { f.watches++ })
	return &countedWatcher{Watcher: w, ended: sync.OnceFunc(func() { f.change(func() { f.watches-- }) })}, nil
}

// countedWatcher is a watch that says when it has ended: go-micro stops each one, once Next has failed.
type countedWatcher struct {
	micro.Watcher
	ended func()
}

func (c *countedWatcher) Next() (*micro.Result, error) {
	r, err := c.Watcher.Next()
	if err != nil {
		c.ended()
	}
	return r, err
}

// awaitWatching waits until the router has listed the services and read each, and until its own watch and, when
// anything was read, its cache's are established.
func (f *watchedRegistry) awaitWatching(ctx context.Context) error { return f.awaitWatches(ctx, 1) }

// awaitWatches is awaitWatching, of a router that has so many watches of its own.
func (f *watchedRegistry) awaitWatches(ctx context.Context, own int) error {
	for {
		f.mu.Lock()
		want := own
		if len(f.asked) > 0 {
			want++
		}
		missing := ""
		switch {
		case f.closed:
			f.mu.Unlock()
			return errors.New("it was closed")
		case !f.began:
			missing = "the services are not listed"
		case f.watches < want:
			missing = fmt.Sprintf("%d of %d watches are established", f.watches, want)
		}
		for name := range f.listed {
			if !f.asked[name] {
				missing = "service " + name + " is listed and not yet read"
			}
		}
		changed := f.changed
		f.mu.Unlock()
		if missing == "" {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", missing, context.Cause(ctx))
		}
	}
}

// closingRouter is go-micro's router, which tells its registry when it is closed.
type closingRouter struct {
	router.Router
	watched *watchedRegistry
}

func (e closingRouter) Close() error {
	e.watched.change(func() { e.watched.closed = true })
	return e.Router.Close()
}
