package gateway

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/micro/go-micro/v2/api"
	"github.com/micro/go-micro/v2/api/resolver"
	"github.com/micro/go-micro/v2/api/resolver/vpath"
	"github.com/micro/go-micro/v2/api/router"
	microrouter "github.com/micro/go-micro/v2/api/router/registry"
	micro "github.com/micro/go-micro/v2/registry"
	"github.com/micro/go-micro/v2/registry/cache"

	"ghostroute/harness/history"
	"ghostroute/harness/registry"
)

// route is the router that go-micro's handler asks: it has another one look the service up, and writes down what it
// said.
type route struct {
	router.Router
	cfg           *Config
	reg           *registry.Registry
	awaitWatching func(context.Context) error
}

// newRoute makes the router of cfg's kind. The router reads reg until it is closed.
func newRoute(cfg *Config, reg *registry.Registry) *route {
	// go-micro's own resolver: the path's first segment is the service, with no namespace before it.
	names := vpath.NewResolver(resolver.WithNamespace(resolver.StaticNamespace("")))
	if cfg.Kind == EachRequest {
		return &route{cfg: cfg, reg: reg, Router: &eachRequest{reg: reg, names: names},
			awaitWatching: func(context.Context) error { return nil }}
	}
	if cfg.Library != Shipped {
		m := remember(cfg, reg)
		return &route{cfg: cfg, reg: reg, Router: &remembering{names: names, memory: m}, awaitWatching: m.awaitWatching}
	}
	watched := &watchedRegistry{Registry: reg, changed: make(chan struct{}), asked: map[string]bool{},
		listed: map[string]bool{}}
	r := withCacheTTL(cfg.CacheTTL, func() router.Router {
		return microrouter.NewRouter(
			router.WithHandler("http"),
			router.WithRegistry(watched),
			router.WithResolver(names),
		)
	})
	return &route{cfg: cfg, reg: reg, Router: closingRouter{r, watched}, awaitWatching: watched.awaitWatching}
}

// answer is what a lookup said.
type answer struct {
	service *api.Service
	err     error
	resolve history.Resolve
}

// Route is a lookup for go-micro's handler. An exchange looks up once: a request that is tried again is tried with
// the answer it had.
func (r *route) Route(req *http.Request) (*api.Service, error) {
	x, _ := req.Context().Value(exchangeKey{}).(*exchange)
	if x == nil {
		return nil, errors.New("a request that is not the gateway's")
	}
	if x.answer == nil {
		x.answer = r.ask(req)
	}
	if x.answer.err != nil {
		return nil, x.answer.err
	}
	return only(x.answer.service, x.may), nil
}

// ask looks up, and writes the answer into the history.
func (r *route) ask(req *http.Request) *answer {
	a := &answer{resolve: history.Resolve{
		Began:     r.cfg.History.Now(),
		Service:   serviceOf(req),
		Mode:      string(r.reg.Config().Mode),
		Reading:   string(r.cfg.Kind),
		Endpoints: []history.Endpoint{},
	}}
	reads := r.reg.Trace(req.Context(), func() { a.service, a.err = r.Router.Route(req) })

	out := &a.resolve
	if a.err == nil {
		out.Endpoints = registry.Endpoints(a.service.Services)
	} else if !errors.Is(a.err, micro.ErrNotFound) { // which is an answer: there are none
		out.Err = a.err.Error()
	}
	if n := len(reads); n > 0 {
		reads[n-1].Provenance(out)
	}
	if (len(out.Endpoints) > 0 || !r.cfg.Library.Reads()) && (len(reads) == 0 || reads[len(reads)-1].Found == 0) {
		// No read, or one that found nothing or failed, and go-micro's cache gave what it had: registry/cache keeps
		// its expired copy whatever the error, "not found" included. Via stays, where a proxy was asked.
		out.Source, out.Revision = history.ClientCache, 0
		filled, _ := r.reg.LastAnswered(out.Service)
		out.Range = filled.Event
	}
	r.cfg.History.Add(history.Event{Who: r.cfg.Name, Resolve: out})
	return a
}

// only is the service with the instances at the addresses that may be used.
func only(s *api.Service, may func(address string) bool) *api.Service {
	some := *s
	some.Services = nil
	for _, version := range s.Services {
		v := *version
		v.Nodes = slices.DeleteFunc(slices.Clone(v.Nodes), func(n *micro.Node) bool { return !may(n.Address) })
		some.Services = append(some.Services, &v)
	}
	return &some
}

// eachRequest is a router that reads the registry on each request, and remembers nothing.
type eachRequest struct {
	router.Router // none: go-micro's handler calls Route and nothing else
	reg           *registry.Registry
	names         resolver.Resolver
}

func (e *eachRequest) Route(req *http.Request) (*api.Service, error) {
	name, err := e.names.Resolve(req)
	if err != nil {
		return nil, err
	}
	services, err := e.reg.GetService(name.Name)
	if err != nil {
		return nil, err
	}
	return &api.Service{Name: name.Name, Services: services}, nil
}

func (e *eachRequest) Close() error { return nil }

// withCacheTTL makes a router whose registry/cache has that TTL. go-micro's router makes its cache with no options,
// so the TTL is the package's DefaultTTL at that moment: it is set, read by the router, and set back, one router at a
// time.
func withCacheTTL(ttl time.Duration, makeRouter func() router.Router) router.Router {
	cacheTTL.Lock()
	defer cacheTTL.Unlock()
	if ttl > 0 {
		defer func(was time.Duration) { cache.DefaultTTL = was }(cache.DefaultTTL)
		cache.DefaultTTL = ttl
	}
	return makeRouter()
}

// cacheTTL guards go-micro's cache.DefaultTTL, which is the process's.
var cacheTTL sync.Mutex
