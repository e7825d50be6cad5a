package registry_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	micro "github.com/micro/go-micro/v2/registry"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"

	"ghostroute/harness/history"
	"ghostroute/harness/internal/onemember"
	"ghostroute/harness/keys"
	"ghostroute/harness/link"
	"ghostroute/harness/port"
	"ghostroute/harness/program"
	"ghostroute/harness/proxy"
	"ghostroute/harness/registry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type fixture struct{ *onemember.Fixture }

func start(t *testing.T) *fixture { return &fixture{onemember.Start(t)} }

func (f *fixture) link(to string) *link.Link {
	l, err := link.Listen("g1→"+to, link.To("tcp", to))
	f.NoError(err)
	f.T.Cleanup(func() { f.NoError(l.Close()) })
	return l
}

func (f *fixture) registry(client string, mode registry.Mode, address string) *registry.Registry {
	r, err := registry.New(f.Ctx, registry.Config{Client: client, Addresses: []string{address}, Mode: mode,
		History: f.History})
	f.NoError(err)
	f.T.Cleanup(func() { f.NoError(r.Close()) })
	return r
}

// get is GetService, and the one read that it must have made.
func (f *fixture) get(r *registry.Registry, service string) ([]history.Endpoint, registry.Read) {
	f.T.Helper()
	var services []*micro.Service
	var err error
	reads := r.Trace(f.Ctx, func() { services, err = r.GetService(service) })
	if !errors.Is(err, micro.ErrNotFound) {
		f.NoError(err)
	}
	f.Len(reads, 1)
	return registry.Endpoints(services), reads[0]
}

func service(name, version, id, address string) *micro.Service {
	return &micro.Service{Name: name, Version: version, Nodes: []*micro.Node{{Id: keys.NodeID(name, id),
		Address: address}}}
}

// writes are a client's, of one kind.
func (f *fixture) writes(client, op string) []history.Write {
	var writes []history.Write
	for _, e := range f.History.Events() {
		if e.Write != nil && e.Who == client && e.Write.Op == op {
			writes = append(writes, *e.Write)
		}
	}
	return writes
}

func TestEveryModeReadsAsItsNameSays(t *testing.T) {
	f := start(t)
	p := f.Proxy("p1", proxy.Stock())
	for _, want := range []struct {
		mode              registry.Mode
		get, list, lookup bool // serializable
	}{
		{registry.Serializable, true, true, true},
		{registry.LinearizableGet, false, true, true},
		{registry.Linearizable, false, false, false},
	} {
		r := f.registry("v1-a", want.mode, p.Addr())
		name := "greeter-" + string(want.mode)
		reads := r.Trace(f.Ctx, func() {
			f.NoError(r.Register(service(name, "v1", "v1-a", "127.0.0.1:1"), micro.RegisterTTL(30*time.Second)))
			_, err := r.GetService(name)
			f.NoError(err)
			_, err = r.ListServices()
			f.NoError(err)
		})
		f.Len(reads, 3, "Register looks its key up, GetService and ListServices read once")
		lookup, get, list := reads[0], reads[1], reads[2]
		f.Equal(keys.Node(name, "v1-a"), lookup.Key)
		f.Equal(keys.Service(name), get.Key)
		f.Equal(keys.Registry, list.Key)
		f.Equal([]bool{true, true, false}, []bool{list.End != "", get.End != "", lookup.End != ""})
		f.Equal([]bool{want.get, want.list, want.lookup}, []bool{get.Serializable, list.Serializable,
			lookup.Serializable}, want.mode)

		seen := map[string]bool{} // and as it arrived at the proxy
		for _, e := range f.History.Events() {
			if e.Range != nil {
				seen[e.Range.Key] = e.Range.Serializable
			}
		}
		f.Equal([]bool{want.get, want.list, want.lookup}, []bool{seen[get.Key], seen[list.Key], seen[lookup.Key]},
			want.mode)
	}
}

func TestAReadSaysWhereItsAnswerCameFrom(t *testing.T) {
	f := start(t)
	p1, p2 := f.Proxy("p1", proxy.Stock()), f.Proxy("p2", proxy.Stock())
	v1 := f.registry("v1-a", "", p1.Addr())
	g1, g2, direct := f.registry("g1", "", p1.Addr()), f.registry("g2", "", p2.Addr()), f.registry("g3", "", f.Member())

	_, ok := g1.LastRead("greeter")
	f.False(ok, "nothing was read yet")
	f.NoError(v1.Register(service("greeter", "v1", "v1-a", "127.0.0.1:1"), micro.RegisterTTL(30*time.Second)))
	there := []history.Endpoint{{ID: "v1-a", Version: "v1", Address: "127.0.0.1:1"}}

	for _, g := range []*registry.Registry{g1, g2} {
		endpoints, read := f.get(g, "greeter")
		f.Equal(there, endpoints)
		f.Equal(history.Miss, read.Source)
		_, again := f.get(g, "greeter")
		f.Equal(history.Hit, again.Source)
		f.Equal(read.Revision, again.Revision)
		f.Equal(1, again.Found)
		record := f.History.Event(again.Event)
		f.Equal([]any{again.Via, again.Source, again.Key}, []any{record.Who, record.Range.Source, record.Range.Key},
			"the answer brought the number of the proxy's record of it")
		last, ok := g.LastRead("greeter")
		f.True(ok)
		f.Equal(again, last)
	}
	f.NoError(v1.Deregister(service("greeter", "v1", "v1-a", "127.0.0.1:1")))

	// The incident: the write passed p1 and not p2.
	endpoints, read := f.get(g1, "greeter")
	f.Empty(endpoints)
	f.Equal([]any{"p1", history.Miss, 0}, []any{read.Via, read.Source, read.Found})
	endpoints, ghost := f.get(g2, "greeter")
	f.Equal(there, endpoints)
	f.Equal([]any{"p2", history.Hit, 1}, []any{ghost.Via, ghost.Source, ghost.Found})
	f.Less(ghost.Revision, read.Revision)
	endpoints, truth := f.get(direct, "greeter")
	f.Empty(endpoints)
	f.Equal([]any{"", history.Member, 0}, []any{truth.Via, truth.Source, truth.Found})
	f.Equal(read.Revision, truth.Revision)
}

func TestConcurrentReadsAreTheirOwnCallers(t *testing.T) {
	f := start(t)
	r := f.registry("g1", "", f.Member())
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			name := fmt.Sprintf("service-%d", n)
			for range 20 {
				reads := r.Trace(f.Ctx, func() { _, _ = r.GetService(name) })
				if len(reads) != 1 || reads[0].Service != name {
					t.Errorf("a read of %s was given %v", name, reads)
				}
			}
		})
	}
	wg.Wait()
	f.Empty(r.Trace(f.Ctx, func() {}), "who reads nothing is given nothing")

	var inner []registry.Read
	outer := r.Trace(f.Ctx, func() {
		inner = r.Trace(f.Ctx, func() { _, _ = r.GetService("inner") })
		_, _ = r.GetService("outer")
	})
	f.Equal([]string{"inner", "outer"}, []string{inner[0].Service, outer[0].Service},
		"a trace within a trace keeps its own")
	f.Len(outer, 1)
}

func TestWritesAreInTheHistory(t *testing.T) {
	f := start(t)
	p := f.Proxy("p1", proxy.Stock())
	r := f.registry("v1-a", "", p.Addr())
	s := service("greeter", "v1", "v1-a", "127.0.0.1:1")
	f.NoError(r.Register(s, micro.RegisterTTL(30*time.Second)))
	f.NoError(r.Register(s, micro.RegisterTTL(30*time.Second)),
		"unchanged: go-micro keeps the lease alive and writes nothing")
	f.NoError(r.Deregister(s))
	_, err := r.Client().Txn(f.Ctx).Then(clientv3.OpDelete("none"), clientv3.OpPut("some", "")).Commit()
	f.NoError(err)

	grants, puts, keeps, deletes, txns := f.writes("v1-a", "grant"), f.writes("v1-a", "put"),
		f.writes("v1-a", "keepalive"), f.writes("v1-a", "delete"), f.writes("v1-a", "txn")
	f.Len(grants, 1)
	f.Len(puts, 1)
	f.Len(keeps, 1)
	f.Len(deletes, 1)
	f.Len(txns, 1)
	f.Empty(f.writes("v1-a", "revoke"), "go-micro leaves the lease to run out")

	key := keys.Node("greeter", "v1-a")
	f.Equal([]any{key, "p1", grants[0].Lease, ""}, []any{puts[0].Key, puts[0].Via, puts[0].Lease, puts[0].Err})
	f.Equal(grants[0].Lease, keeps[0].Lease)
	f.Equal([]any{key, "p1", int64(1), puts[0].Revision + 1},
		[]any{deletes[0].Key, deletes[0].Via, deletes[0].Deleted, deletes[0].Revision})
	f.Equal([]any{"none", "p1", int64(0), deletes[0].Revision + 1},
		[]any{txns[0].Key, txns[0].Via, txns[0].Deleted, txns[0].Revision})
	for _, w := range []history.Write{grants[0], puts[0], keeps[0], deletes[0]} {
		f.Positive(w.Began)
	}
}

func TestACallEndsWithItsTrace(t *testing.T) {
	f := start(t)
	way := f.link(f.Member())
	r := f.registry("v1-a", "", way.Addr())
	s := service("greeter", "v1", "v1-a", "127.0.0.1:1")
	f.NoError(r.Register(s, micro.RegisterTTL(30*time.Second)))

	way.Blackhole(link.Both)
	gone := errors.New("the test's patience")
	ctx, cancel := context.WithTimeoutCause(f.Ctx, 30*time.Millisecond, gone)
	defer cancel()
	var get, keep error
	reads := r.Trace(ctx, func() {
		_, get = r.GetService("greeter")
		keep = r.Register(s, micro.RegisterTTL(30*time.Second)) // KeepAliveOnce, for which go-micro has no deadline
	})
	f.ErrorIs(get, gone)
	f.ErrorIs(keep, gone)
	f.Equal(gone.Error(), reads[0].Err)
	f.Equal(history.Source(""), reads[0].Source, "nobody answered")
	f.Equal(gone.Error(), f.writes("v1-a", "keepalive")[0].Err)

	way.Mend()
	endpoints, _ := f.get(r, "greeter")
	f.Len(endpoints, 1, "what comes after is not bounded by it")
}

func TestReconnectIsANewProcess(t *testing.T) {
	f := start(t)
	way := f.link(f.Member())
	r := f.registry("v1-a", "", way.Addr())
	f.NoError(r.Connect(f.Ctx))
	f.Len(way.Conns(), 1, "one client, one connection")
	was := way.Conns()[0].ID

	s := service("greeter", "v1", "v1-a", "127.0.0.1:1")
	f.NoError(r.Register(s, micro.RegisterTTL(30*time.Second)))
	w, err := r.Watch()
	f.NoError(err)
	ended := make(chan error, 1)
	go func() { _, err := w.Next(); ended <- err }()

	f.NoError(r.Reconnect(f.Ctx))
	f.Error(<-ended, "the old connection's watch")
	w.Stop()
	f.NoError(r.Connect(f.Ctx))
	f.Eventually(func() bool { c := way.Conns(); return len(c) == 1 && c[0].ID != was }, 5*time.Second,
		time.Millisecond)

	reads := r.Trace(f.Ctx, func() { f.NoError(r.Register(s, micro.RegisterTTL(30*time.Second))) })
	f.Len(reads, 1, "it has forgotten its lease, and looks its key up")
	f.Len(f.writes("v1-a", "put"), 1, "and finds it")
}

func TestARegistrationSaysWhatItsLookupWasToldBy(t *testing.T) {
	f := start(t)
	p1 := f.Proxy("p1", proxy.Stock())
	s := service("greeter", "v1", "v1-a", "127.0.0.1:1")
	for range 3 { // each a process that knows nothing of the one before
		r := f.registry("v1-a", "", p1.Addr())
		r.Trace(f.Ctx, func() { f.NoError(r.Register(s, micro.RegisterTTL(30*time.Second))) })
	}
	f.Len(f.writes("v1-a", "put"), 1)
	var said []history.Source
	for _, w := range f.writes("v1-a", "keepalive") {
		said = append(said, f.History.Event(w.Read).Range.Source)
	}
	f.Equal([]history.Source{history.Miss, history.Hit}, said, "the put cleared the first lookup's answer")
}

func TestCloseEndsEverything(t *testing.T) {
	f := start(t)
	r := f.registry("g1", "", f.Member())
	w, err := r.Watch()
	f.NoError(err)
	ended := make(chan error, 1)
	go func() { _, err := w.Next(); ended <- err }()

	f.NoError(r.Close())
	f.Error(<-ended)
	w.Stop()
	f.NoError(r.Close(), "a second Close does nothing")
	began := time.Now()
	_, err = r.GetService("greeter")
	f.EqualError(err, "the registry of g1 was closed")
	f.Less(time.Since(began), time.Second, "at once, and not after go-micro's five seconds")
	f.ErrorContains(r.Connect(f.Ctx), "was closed")
	f.ErrorContains(r.Reconnect(f.Ctx), "was closed")
	w, err = r.Watch()
	f.NoError(err, "go-micro's Watch never fails")
	_, err = w.Next()
	f.Error(err, "its Next does")
	w.Stop()
}

func TestNobodyThere(t *testing.T) {
	t.Parallel()
	p, err := port.Reserve()
	require.NoError(t, err)
	defer p.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()

	r, err := registry.New(ctx, registry.Config{Client: "g1", Addresses: []string{p.Addr()}, History: history.New()})
	require.NoError(t, err, "a registry does not connect of its own accord")
	defer r.Close()
	err = r.Connect(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "g1 has no connection to ["+p.Addr()+"]: ") // and the state it is in

	_, err = registry.New(ctx, registry.Config{Client: "g1", Addresses: []string{p.Addr()}, Username: "root",
		Password: "root", History: history.New()})
	require.EqualError(t, err, "registry of g1 was not opened at ["+p.Addr()+"]: context deadline exceeded",
		"a user's token is asked for at once")
}

func TestAUserReadsWithAuthOn(t *testing.T) {
	f := start(t)
	c := f.Cluster.Client()
	_, err := c.UserAdd(f.Ctx, "root", "secret")
	f.NoError(err)
	_, err = c.RoleAdd(f.Ctx, "root")
	f.NoError(err)
	_, err = c.UserGrantRole(f.Ctx, "root", "root")
	f.NoError(err)
	_, err = c.AuthEnable(f.Ctx)
	f.NoError(err)

	_, err = f.registry("g1", "", f.Member()).GetService("greeter")
	f.ErrorContains(err, "user name is empty")
	cfg := registry.Config{Client: "g1", Addresses: []string{f.Member()}, Username: "root", Password: "secret",
		History: f.History}
	r, err := registry.New(f.Ctx, cfg)
	f.NoError(err)
	defer r.Close()
	_, err = r.GetService("greeter")
	f.ErrorIs(err, micro.ErrNotFound)
	cfg.Password = "wrong"
	_, err = registry.New(f.Ctx, cfg)
	f.ErrorContains(err, "authentication failed")
}

func TestAConfigThatCannotBe(t *testing.T) {
	t.Parallel()
	_, err := registry.New(context.Background(), registry.Config{Client: "g1", Addresses: []string{"nowhere"},
		Mode: "fast", Timeout: -1, Username: "u"})
	require.EqualError(t, err, `registry of "g1" cannot be: addresses has "nowhere"; it may be host:port
timeout is -1ns; it may be 0 or more
one of username and password is empty; it may be both or none
history is nil; it may be history.New()
mode is "fast"; it may be one of ["serializable" "linearizable-get" "linearizable"]`)
	_, err = registry.New(context.Background(), registry.Config{})
	require.ErrorContains(t, err, "client is empty")
	require.ErrorContains(t, err, "addresses is empty")
}

func TestAProcessIsGoMicrosOwnClient(t *testing.T) {
	t.Parallel()
	_, err := registry.New(context.Background(), registry.Config{Client: "g1", Addresses: []string{"127.0.0.1:1"},
		Username: "u", Password: "u", Via: "p1", History: history.New(),
		Program: program.Program{Path: "/no/such"}})
	require.EqualError(t, err, `registry of "g1" cannot be: dir is empty; it may be a folder for the process's log
dial or via is given; of a process they may not be
username is "u"; of a process it may be empty`)
	_, err = registry.New(context.Background(), registry.Config{Client: "g1", Addresses: []string{"127.0.0.1:1"},
		History: history.New(), Program: program.Program{Path: "/no/such"}, Dir: t.TempDir()})
	require.ErrorContains(t, err, "registry of g1 was not opened: the process of g1 did not start: ")
}

func TestInitIsRefused(t *testing.T) {
	f := start(t)
	r := f.registry("g1", "", f.Member())
	f.NoError(r.Init())
	f.Error(r.Init(micro.Addrs("127.0.0.1:1")))
	f.Equal([]string{f.Member()}, r.Options().Addrs)
	f.Equal("etcd", r.String())
	f.Equal(registry.Serializable, r.Config().Mode)
}
