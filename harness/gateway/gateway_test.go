package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"ghostroute/harness/gateway"
	"ghostroute/harness/history"
	"ghostroute/harness/internal/onemember"
	"ghostroute/harness/link"
	"ghostroute/harness/port"
	"ghostroute/harness/proxy"
	"ghostroute/harness/registry"
	"ghostroute/harness/service"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, gateway.KnownLeaks()...) }

var kinds = []gateway.Kind{gateway.EachRequest, gateway.GoMicro}

type fixture struct{ *onemember.Fixture }

func start(t *testing.T) *fixture { return &fixture{onemember.Start(t)} }

func (f *fixture) instance(name, id, address string) *service.Instance {
	f.T.Helper()
	i, err := service.Start(f.Ctx, service.Config{
		Service: name, Version: id[:2], ID: id, TTL: 60 * time.Second, History: f.History,
		Registry: registry.Config{Addresses: []string{address}},
	})
	f.NoError(err)
	f.T.Cleanup(func() { f.NoError(i.Close()) })
	return i
}

func (f *fixture) config(kind gateway.Kind, address string) gateway.Config {
	return gateway.Config{Name: "g1", Kind: kind, Registry: registry.Config{Addresses: []string{address}},
		History: f.History}
}

func (f *fixture) gateway(cfg gateway.Config) *gateway.Gateway {
	f.T.Helper()
	g, err := gateway.Start(f.Ctx, cfg)
	f.NoError(err)
	f.T.Cleanup(func() { f.NoError(g.Close()) })
	return g
}

// both runs a test once for each kind of gateway, each with a cluster of its own.
func both(t *testing.T, test func(f *fixture, kind gateway.Kind)) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) { test(start(t), kind) })
	}
}

func refused(address string) string {
	return "http: proxy error: dial tcp " + address + ": connect: connection refused"
}

func TestEveryInstanceAnswers(t *testing.T) {
	both(t, func(f *fixture, kind gateway.Kind) {
		a, b := f.instance("greeter", "v1-a", f.Member()), f.instance("greeter", "v2-b", f.Member())
		g := f.gateway(f.config(kind, f.Member()))
		f.NoError(g.AwaitWatching(f.Ctx))

		answer, requests := g.CallEach(f.Ctx, "greeter")
		f.Equal([]history.Endpoint{a.Endpoint(), b.Endpoint()}, answer.Endpoints)
		f.Equal([]any{"greeter", "serializable", string(kind), ""},
			[]any{answer.Service, answer.Mode, answer.Reading, answer.Err})
		f.Len(requests, 2)
		for n, i := range []*service.Instance{a, b} {
			r := requests[n]
			f.Equal([]any{200, i.Addr(), "greeter", i.Config().Version, i.Config().ID, i.Config().ID, "", ""},
				[]any{r.Status, r.Dialled, r.Answered, r.Version, r.Instance, r.Target, r.Log, r.Err})
		}
		f.Equal(200, g.Call(f.Ctx, "greeter").Status)

		var resolves, calls int
		for _, e := range f.History.Events() {
			f.True(e.Resolve == nil && e.Request == nil || e.Who == "g1")
			switch {
			case e.Resolve != nil:
				resolves++
			case e.Request != nil:
				calls++
			}
		}
		f.Equal([]int{2, 3}, []int{resolves, calls}, "CallEach looks up once")
	})
}

// The incident on its smallest stage: what deregisters through p1 stays in p2's cache, and a gateway behind p2 dials
// it.
func TestAGhostIsDialledAndTheRequestFails(t *testing.T) {
	f := start(t)
	p1, p2 := f.Proxy("p1", proxy.Stock()), f.Proxy("p2", proxy.Stock())
	ghost, alive := f.instance("greeter", "v1-a", p1.Addr()), f.instance("greeter", "v1-b", p1.Addr())
	g := f.gateway(f.config(gateway.EachRequest, p2.Addr()))

	before, requests := g.CallEach(f.Ctx, "greeter")
	f.Equal([]any{"p2", history.Miss}, []any{before.Via, before.Source})
	f.Equal([]int{200, 200}, []int{requests[0].Status, requests[1].Status})
	f.NoError(ghost.Stop(f.Ctx))

	answer, requests := g.CallEach(f.Ctx, "greeter")
	f.Equal([]history.Endpoint{ghost.Endpoint(), alive.Endpoint()}, answer.Endpoints)
	f.Equal([]any{"p2", history.Hit, before.Revision}, []any{answer.Via, answer.Source, answer.Revision})
	f.Equal([]any{http.StatusBadGateway, ghost.Addr(), "v1-a", "", refused(ghost.Addr()), ""},
		[]any{requests[0].Status, requests[0].Dialled, requests[0].Target, requests[0].Instance, requests[0].Log,
			requests[0].Err})
	f.Equal([]any{200, "v1-b", ""}, []any{requests[1].Status, requests[1].Instance, requests[1].Log})
}

func TestAReusedAddressIsNoticed(t *testing.T) {
	both(t, func(f *fixture, kind gateway.Kind) {
		ghost := f.instance("greeter", "v1-a", f.Member())
		cfg := f.config(kind, f.Member())
		cfg.Target = func(address string) string { return map[string]string{ghost.Addr(): "x2-b"}[address] }
		g := f.gateway(cfg)
		f.NoError(g.AwaitWatching(f.Ctx))
		f.Equal("v1-a", g.Call(f.Ctx, "greeter").Instance) // and an idle connection to it is left

		f.NoError(ghost.Crash())
		other, err := service.Start(f.Ctx, service.Config{Service: "other", Version: "x2", ID: "x2-b",
			Port: ghost.Port(), History: f.History,
			Registry: registry.Config{Addresses: []string{f.Member()}}})
		f.NoError(err)
		defer other.Close()
		r := g.Call(f.Ctx, "greeter")
		f.Equal([]any{200, ghost.Addr(), "greeter", "other", "x2", "x2-b", "x2-b"},
			[]any{r.Status, r.Dialled, r.Service, r.Answered, r.Version, r.Instance, r.Target},
			"200 from the wrong service")
	})
}

func TestTheLastIdleConnectionHidesNoCrash(t *testing.T) {
	both(t, func(f *fixture, kind gateway.Kind) {
		i := f.instance("greeter", "v1-a", f.Member())
		g := f.gateway(f.config(kind, f.Member()))
		f.NoError(g.AwaitWatching(f.Ctx))
		for range 3 {
			f.Equal("v1-a", g.Call(f.Ctx, "greeter").Instance)
			f.NoError(i.Crash())
			r := g.Call(f.Ctx, "greeter")
			f.Equal([]any{http.StatusBadGateway, refused(i.Addr())}, []any{r.Status, r.Log})
			next, err := i.Restart(f.Ctx)
			f.NoError(err)
			f.T.Cleanup(func() { f.NoError(next.Close()) })
			i = next
		}
	})
}

func TestAnotherInstanceIsTried(t *testing.T) {
	both(t, func(f *fixture, kind gateway.Kind) {
		dead, alive, dead2 := f.instance("greeter", "v1-a", f.Member()), f.instance("greeter", "v1-b", f.Member()),
			f.instance("greeter", "v1-c", f.Member())
		cfg := f.config(kind, f.Member())
		cfg.Retry = 2
		g := f.gateway(cfg)
		f.NoError(g.AwaitWatching(f.Ctx))
		f.NoError(dead.Crash())
		f.NoError(dead2.Crash())

		tried := map[string]bool{}
		// Until go-micro's random choice has begun with a dead one, and with the other, and with the live one.
		for len(tried) < 3 {
			r := g.Call(f.Ctx, "greeter")
			f.Equal([]any{200, alive.Addr(), "v1-b", "v1-b"}, []any{r.Status, r.Dialled, r.Target, r.Instance})
			first := r.Log
			if len(first) > len(refused(dead.Addr())) {
				first = first[:len(refused(dead.Addr()))]
			}
			f.Contains([]string{"", refused(dead.Addr()), refused(dead2.Addr())}, first)
			tried[first] = true
		}

		_, requests := g.CallEach(f.Ctx, "greeter")
		f.Equal([]int{200, 200, 200}, []int{requests[0].Status, requests[1].Status, requests[2].Status})
		for i, first := range []*service.Instance{dead, alive, dead2} {
			f.Equal(first == alive, requests[i].Log == "", "CallEach begins with each endpoint in turn, and tries another")
		}

		f.NoError(alive.Crash())
		r := g.Call(f.Ctx, "greeter")
		f.Equal(http.StatusBadGateway, r.Status)
		for _, i := range []*service.Instance{dead, alive, dead2} {
			f.Contains(r.Log, refused(i.Addr()), "every one was tried, once")
		}
		f.Len(r.Log, len(refused(dead.Addr())+"\n"+refused(alive.Addr())+"\n"+refused(dead2.Addr())))
	})
}

func TestAnUnknownServiceIs500(t *testing.T) {
	both(t, func(f *fixture, kind gateway.Kind) {
		g := f.gateway(f.config(kind, f.Member()))
		answer, requests := g.CallEach(f.Ctx, "nobody")
		f.Equal([]any{[]history.Endpoint{}, "", history.Member}, []any{answer.Endpoints, answer.Err, answer.Source},
			"not found is an answer")
		f.Positive(answer.Revision)
		f.Len(requests, 1)
		f.Equal([]any{500, "", ""}, []any{requests[0].Status, requests[0].Dialled, requests[0].Err},
			"go-micro's handler says 500, not 404")
	})
}

func TestGoMicrosCacheFollowsItsWatch(t *testing.T) {
	f := start(t)
	p1, p2 := f.Proxy("p1", proxy.Stock()), f.Proxy("p2", proxy.Stock())
	old := f.instance("greeter", "v1-a", p1.Addr())
	g := f.gateway(f.config(gateway.GoMicro, p2.Addr()))
	f.NoError(g.AwaitWatching(f.Ctx))

	a := g.Resolve(f.Ctx, "greeter")
	f.Equal([]any{history.ClientCache, int64(0), ""}, []any{a.Source, a.Revision, a.Via}, "no RPC left the gateway")
	last, ok := g.Registry().LastRead("greeter")
	f.True(ok, "go-micro's own goroutine filled the cache")
	f.Equal([]any{"p2", history.Miss}, []any{last.Via, last.Source})
	f.Equal(last.Event, a.Range, "the copy is what that read was told")

	next := f.instance("greeter", "v2-a", p1.Addr())
	f.NoError(old.Stop(f.Ctx))
	f.Eventually(func() bool {
		a := g.Resolve(f.Ctx, "greeter")
		return a.Source == history.ClientCache && len(a.Endpoints) == 1 && a.Endpoints[0] == next.Endpoint()
	}, 5*time.Second, time.Millisecond, "the watch told it")
	f.Equal("v2-a", g.Call(f.Ctx, "greeter").Instance)
}

// The incident as it happened to users: nothing is wrong until the cache's TTL ends and the ghost is read again.
func TestGoMicrosCacheReadsTheGhostAgain(t *testing.T) {
	f := start(t)
	p1, p2 := f.Proxy("p1", proxy.Stock()), f.Proxy("p2", proxy.Stock())
	old, alive := f.instance("greeter", "v1-a", p1.Addr()), f.instance("greeter", "v1-b", p1.Addr())
	cfg := f.config(gateway.GoMicro, p2.Addr())
	cfg.CacheTTL = 300 * time.Millisecond
	g := f.gateway(cfg)
	f.NoError(g.AwaitWatching(f.Ctx))

	was := len(g.Resolve(f.Ctx, "greeter").Endpoints)
	f.Equal(2, was)
	f.NoError(old.Stop(f.Ctx))
	var back history.Resolve
	f.Eventually(func() bool {
		back = g.Resolve(f.Ctx, "greeter")
		return back.Source == history.Hit
	}, 5*time.Second, time.Millisecond, "the TTL ended")
	f.Equal("p2", back.Via)
	f.Equal(history.Hit, f.History.Event(back.Range).Range.Source)
	f.Equal(back.Range, g.Resolve(f.Ctx, "greeter").Range, "and the copy that is answered from then on is that hit's")
	f.Equal([]history.Endpoint{old.Endpoint(), alive.Endpoint()}, back.Endpoints, "the ghost came back")
}

// registry/cache keeps its expired copy whatever GetService's error, ErrNotFound included.
func TestGoMicrosCacheKeepsAGhostThatNobodyAnswers(t *testing.T) {
	f := start(t)
	i := f.instance("greeter", "v1-a", f.Member())
	way, err := link.Listen("g1→m1", link.To("tcp", f.Member()))
	f.NoError(err)
	defer way.Close()
	cfg := f.config(gateway.GoMicro, way.Addr())
	cfg.CacheTTL = time.Millisecond
	g := f.gateway(cfg)
	f.NoError(g.AwaitWatching(f.Ctx))
	f.Len(g.Resolve(f.Ctx, "greeter").Endpoints, 1)

	f.NoError(way.Cut())
	ctx, cancel := context.WithTimeout(f.Ctx, 50*time.Millisecond)
	defer cancel()
	a := g.Resolve(ctx, "greeter")
	f.Equal([]any{[]history.Endpoint{i.Endpoint()}, history.ClientCache, ""}, []any{a.Endpoints, a.Source, a.Err},
		"an unreachable registry")
}

func TestARestartedGatewayHasForgotten(t *testing.T) {
	both(t, func(f *fixture, kind gateway.Kind) {
		f.instance("greeter", "v1-a", f.Member())
		way, err := link.Listen("g1→m1", link.To("tcp", f.Member()))
		f.NoError(err)
		defer way.Close()
		g := f.gateway(f.config(kind, way.Addr()))
		f.Equal(200, g.Call(f.Ctx, "greeter").Status)
		f.Len(way.Conns(), 1, "a gateway has one connection")
		was, url := way.Conns()[0].ID, g.URL("greeter")

		f.NoError(g.Restart(f.Ctx))
		f.Eventually(func() bool { c := way.Conns(); return len(c) == 1 && c[0].ID != was }, 5*time.Second,
			time.Millisecond)
		f.Equal(url, g.URL("greeter"))
		f.Equal(200, g.Call(f.Ctx, "greeter").Status)
	})
}

func TestLogLinesAreTheirOwnRequests(t *testing.T) {
	f := start(t)
	a, b := f.instance("one", "v1-a", f.Member()), f.instance("two", "v1-b", f.Member())
	f.NoError(a.Crash())
	f.NoError(b.Crash())
	g := f.gateway(f.config(gateway.EachRequest, f.Member()))
	var wg sync.WaitGroup
	for range 4 {
		for _, i := range []*service.Instance{a, b} {
			wg.Go(func() {
				for range 10 {
					if r := g.Call(f.Ctx, i.Config().Service); r.Log != refused(i.Addr()) {
						t.Errorf("a request to %s was given %q", i.Addr(), r.Log)
					}
				}
			})
		}
	}
	wg.Wait()
}

func TestAnybodyMayAsk(t *testing.T) {
	f := start(t)
	i := f.instance("greeter", "v1-a", f.Member())
	g := f.gateway(f.config(gateway.EachRequest, f.Member()))
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	resp, err := client.Get(g.URL("greeter") + "/some/where?and=more")
	f.NoError(err)
	f.NoError(resp.Body.Close())
	f.Equal([]any{200, "v1-a"}, []any{resp.StatusCode, resp.Header.Get(service.HeaderInstance)})

	e, err := f.History.Wait(f.Ctx, 0, func(e history.Event) bool { return e.Request != nil })
	f.NoError(err)
	f.Equal([]any{"greeter", 200, i.Addr(), "v1-a"}, []any{e.Request.Service, e.Request.Status, e.Request.Dialled,
		e.Request.Instance})

	resp, err = client.Get(g.URL(""))
	f.NoError(err)
	f.NoError(resp.Body.Close())
	f.Equal(500, resp.StatusCode, "no service is named")
}

func TestACallHasADeadline(t *testing.T) {
	both(t, func(f *fixture, kind gateway.Kind) {
		way, err := link.Listen("g1→m1", link.To("tcp", f.Member()))
		f.NoError(err)
		defer way.Close()
		g := f.gateway(f.config(kind, way.Addr()))
		way.Blackhole(link.Both)
		ctx, cancel := context.WithTimeout(f.Ctx, 30*time.Millisecond)
		defer cancel()
		f.Equal("context deadline exceeded", g.Resolve(ctx, "greeter").Err)
		r := g.Call(ctx, "greeter")
		f.Zero(r.Status)
		f.ErrorContains(errors.New(r.Err), "context deadline exceeded")
	})
}

func TestCloseEndsWhatIsUnderWay(t *testing.T) {
	both(t, func(f *fixture, kind gateway.Kind) {
		way, err := link.Listen("g1→m1", link.To("tcp", f.Member()))
		f.NoError(err)
		defer way.Close()
		g := f.gateway(f.config(kind, way.Addr()))
		f.NoError(g.AwaitWatching(f.Ctx))
		way.Blackhole(link.Both)

		n := f.History.Len()
		calls := make(chan history.Request)
		go func() { calls <- g.Call(f.Ctx, "greeter") }()
		f.Eventually(func() bool { return way.Stats().Swallowed > 0 }, 5*time.Second, time.Millisecond,
			"the lookup is under way")
		f.NoError(g.Close())
		f.NotEmpty((<-calls).Err)
		f.NoError(g.Close(), "a second Close does nothing")
		f.EqualError(g.Restart(f.Ctx), "gateway g1 did not start again: it was closed")

		f.NotEmpty(g.Call(f.Ctx, "greeter").Err, "who asks a gateway that has ended is told")
		f.NotEmpty(g.Resolve(f.Ctx, "greeter").Err)
		f.Greater(f.History.Len(), n)
	})
}

func TestAGatewayWithoutARegistryDoesNotStart(t *testing.T) {
	t.Parallel()
	nobody, err := port.Reserve()
	require.NoError(t, err)
	defer nobody.Close()
	for _, kind := range kinds {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		_, err = gateway.Start(ctx, gateway.Config{Name: "g1", Kind: kind, History: history.New(),
			Registry: registry.Config{Addresses: []string{nobody.Addr()}}})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "gateway g1 did not start: g1 has no connection to ["+nobody.Addr()+"]")
		cancel()
	}
}

func TestAConfigThatCannotBe(t *testing.T) {
	t.Parallel()
	_, err := gateway.Start(context.Background(), gateway.Config{Kind: "best", CacheTTL: -1, Retry: -1})
	require.EqualError(t, err, fmt.Sprintf(`gateway "" cannot be: name is empty; it may be any
kind is "best"; it may be %q or %q
cache ttl is -1ns; it may be 0 (go-micro's minute) or more
retry is -1; it may be 0 (none) or more
history is nil; it may be history.New()`, gateway.EachRequest, gateway.GoMicro))
	_, err = gateway.Start(context.Background(), gateway.Config{Name: "g1", History: history.New()})
	require.ErrorContains(t, err, `gateway g1 did not start: registry of "g1" cannot be: addresses is empty`)
}
