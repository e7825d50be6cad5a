package router

import (
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/micro/go-micro/v2/api/router"
	shipped "github.com/micro/go-micro/v2/api/router/registry"
	"github.com/micro/go-micro/v2/registry"
	"github.com/stretchr/testify/require"
)

// one is a of one node.
func one() *registry.Service {
	return &registry.Service{Name: "a", Version: "v1", Nodes: []*registry.Node{{Id: "a-1"}}}
}

// listed is a registry of one service, a, with each of its watches.
type listed struct {
	registry.Registry
	mu      sync.Mutex
	a       *registry.Service // nil where it has left
	watches []*watch
}

// watch is told events one by one.
type watch struct {
	events chan *registry.Result
	ended  chan struct{}
	stop   sync.Once
}

func (l *listed) GetService(string, ...registry.GetOption) ([]*registry.Service, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.a == nil {
		return nil, registry.ErrNotFound
	}
	return []*registry.Service{l.a}, nil
}

func (l *listed) ListServices(...registry.ListOption) ([]*registry.Service, error) {
	return l.GetService("a")
}

func (l *listed) Watch(...registry.WatchOption) (registry.Watcher, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := &watch{events: make(chan *registry.Result), ended: make(chan struct{})}
	l.watches = append(l.watches, w)
	return w, nil
}

func (w *watch) Next() (*registry.Result, error) {
	select {
	case e := <-w.events:
		return e, nil
	case <-w.ended:
		return nil, errors.New("it was stopped")
	}
}

func (w *watch) Stop() { w.stop.Do(func() { close(w.ended) }) }

// routing begins a router of a service with an endpoint, and says whether that is found.
func routing(t *testing.T, begin func(...router.Option) router.Router) (l *listed, r router.Router, found func() bool) {
	a := one()
	a.Endpoints = []*registry.Endpoint{{Name: "A.Call", Metadata: map[string]string{
		"endpoint": "A.Call", "method": "GET", "path": "/a/call", "handler": "rpc"}}}
	l = &listed{a: a}
	r = begin(router.WithRegistry(l))
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	asked, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/a/call", nil)
	require.NoError(t, err)
	found = func() bool {
		_, err := r.Endpoint(asked)
		return err == nil
	}
	require.Eventually(t, func() bool { // the router watches, and its cache
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.watches) == 2 && found()
	}, time.Minute, time.Millisecond)
	return l, r, found
}

// TestALastNodesEndpoints takes the last node of a service away.
func TestALastNodesEndpoints(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		begin func(...router.Option) router.Router
		stays bool
	}{"shipped": {shipped.NewRouter, true}, "mended": {NewRouter, false}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, _, found := routing(t, c.begin)
			l.mu.Lock()
			l.a = nil
			l.mu.Unlock()
			for range 3 { // the cache has done the first when the second is taken, and the router the second by the third
				for _, w := range l.watches {
					w.events <- &registry.Result{Action: "delete", Service: one()}
				}
			}
			require.Equal(t, c.stays, found())
		})
	}
}

// TestANodeThatTheCacheStillHas has the router hear of a delete before its cache does.
func TestANodeThatTheCacheStillHas(t *testing.T) {
	t.Parallel()
	_, r, found := routing(t, NewRouter)
	r.(*registryRouter).process(&registry.Result{Action: "delete", Service: one()})
	require.False(t, found())

	two := one()
	two.Nodes = append(two.Nodes, &registry.Node{Id: "a-2"})
	left := without([]*registry.Service{two}, one())
	require.Len(t, left, 1)
	require.Equal(t, []*registry.Node{{Id: "a-2"}}, left[0].Nodes)
	require.Len(t, two.Nodes, 2)
}
