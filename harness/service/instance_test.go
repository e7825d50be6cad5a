package service_test

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"

	"ghostroute/harness/history"
	"ghostroute/harness/internal/onemember"
	"ghostroute/harness/keys"
	"ghostroute/harness/link"
	"ghostroute/harness/port"
	"ghostroute/harness/proxy"
	"ghostroute/harness/registry"
	"ghostroute/harness/service"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fixture is a member, and a client to ask instances with.
type fixture struct {
	*onemember.Fixture
	http http.Client
}

func start(t *testing.T) *fixture {
	f := &fixture{Fixture: onemember.Start(t)}
	f.http.Transport = &http.Transport{}
	t.Cleanup(f.http.CloseIdleConnections)
	return f
}

func (f *fixture) config(id string) service.Config {
	return service.Config{
		Service: "greeter", Version: id[:2], ID: id, TTL: 30 * time.Second, History: f.History,
		Registry: registry.Config{Addresses: []string{f.Cluster.Members[0].Endpoint()}},
	}
}

func (f *fixture) start(cfg service.Config) *service.Instance {
	f.T.Helper()
	i, err := service.Start(f.Ctx, cfg)
	f.NoError(err)
	f.T.Cleanup(func() { f.NoError(i.Close()) })
	return i
}

// truth is who is registered.
func (f *fixture) truth() []history.Endpoint {
	f.T.Helper()
	resp, err := f.Cluster.Truth(f.Ctx, keys.Service("greeter"), clientv3.WithPrefix())
	f.NoError(err)
	all := []history.Endpoint{}
	for _, kv := range resp.Kvs {
		_, endpoints, err := registry.Decode(kv.Value)
		f.NoError(err)
		all = append(all, endpoints...)
	}
	return all
}

// lease is the one an instance is registered with.
func (f *fixture) lease(i *service.Instance) clientv3.LeaseID {
	f.T.Helper()
	resp, err := f.Cluster.Truth(f.Ctx, i.Key())
	f.NoError(err)
	f.Len(resp.Kvs, 1)
	return clientv3.LeaseID(resp.Kvs[0].Lease)
}

// ask is who answers at an address.
func (f *fixture) ask(address string) (name string, err error) {
	f.T.Helper()
	req, err := http.NewRequestWithContext(f.Ctx, http.MethodGet, "http://"+address+"/greeter", nil)
	f.NoError(err)
	resp, err := f.http.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var body struct{ Service, Version, ID string }
	f.NoError(json.NewDecoder(resp.Body).Decode(&body))
	f.Equal(resp.Header.Get(service.HeaderService), body.Service)
	f.Equal(resp.Header.Get(service.HeaderVersion), body.Version)
	f.Equal(resp.Header.Get(service.HeaderInstance), body.ID)
	return body.Service + "/" + body.Version + "/" + body.ID, nil
}

func (f *fixture) refused(address string) {
	f.T.Helper()
	_, err := f.ask(address)
	f.ErrorContains(err, "connection refused")
}

func TestAnInstanceServesAndIsRegistered(t *testing.T) {
	f := start(t)
	i := f.start(f.config("v1-a"))
	who, err := f.ask(i.Addr())
	f.NoError(err)
	f.Equal("greeter/v1/v1-a", who)
	f.Equal([]history.Endpoint{i.Endpoint()}, f.truth())
	f.Equal(history.Endpoint{ID: "v1-a", Version: "v1", Address: i.Addr()}, i.Endpoint())
	f.Equal("/micro/registry/greeter/greeter-v1-a", i.Key())

	left, err := f.Cluster.Client().TimeToLive(f.Ctx, f.lease(i))
	f.NoError(err)
	f.Equal(int64(30), left.GrantedTTL)
	f.NoError(i.Err())

	none := f.config("v1-b")
	none.TTL = 0
	f.Zero(f.lease(f.start(none)), "without a TTL there is no lease")
}

func TestTheIntervalKeepsTheLeaseAlive(t *testing.T) {
	f := start(t)
	cfg := f.config("v1-a")
	cfg.Interval = time.Millisecond
	i := f.start(cfg)
	lease := f.lease(i)
	kept := 0
	_, err := f.History.Wait(f.Ctx, 0, func(e history.Event) bool {
		if e.Write != nil && e.Write.Op == "keepalive" && e.Write.Err == "" {
			kept++
		}
		return kept == 3
	})
	f.NoError(err)
	f.Equal(lease, f.lease(i))

	f.NoError(i.Deregister(f.Ctx))
	f.Empty(f.truth())
	n := f.History.Len()
	ctx, cancel := context.WithTimeout(f.Ctx, 20*time.Millisecond)
	defer cancel()
	_, err = f.History.Wait(ctx, n, func(e history.Event) bool { return e.Write != nil })
	f.Error(err, "who has deregistered does not register again")
}

func TestStopDeregistersAndStopsServing(t *testing.T) {
	f := start(t)
	i := f.start(f.config("v1-a"))
	lease := f.lease(i)
	_, err := f.ask(i.Addr()) // and leaves an idle connection
	f.NoError(err)
	f.NoError(i.Stop(f.Ctx))
	f.refused(i.Addr())
	f.Empty(f.truth())

	left, err := f.Cluster.Client().TimeToLive(f.Ctx, lease)
	f.NoError(err)
	f.Positive(left.TTL, "go-micro does not revoke the lease")
	f.ErrorContains(i.Reregister(f.Ctx), "v1-a was not registered")
	f.ErrorContains(i.Deregister(f.Ctx), "it has ended")
	f.NoError(i.Close())
	f.NoError(i.Close(), "a second Close does nothing")
}

func TestACrashDeregistersNothing(t *testing.T) {
	f := start(t)
	cfg := f.config("v1-a")
	cfg.TTL = time.Second
	cfg.Interval = 100 * time.Millisecond
	i := f.start(cfg)
	_, err := f.ask(i.Addr())
	f.NoError(err)
	f.NoError(i.Crash())
	f.refused(i.Addr())
	f.Equal([]history.Endpoint{i.Endpoint()}, f.truth(), "it is a ghost")
	f.Eventually(func() bool { return len(f.truth()) == 0 }, 10*time.Second, 20*time.Millisecond,
		"until its lease has run out")
	f.Equal(history.Crash, f.History.Events()[f.History.Len()-1].Fault.Kind)
}

func TestRestart(t *testing.T) {
	f := start(t)
	old := f.start(f.config("v1-a"))

	same, err := old.Restart(f.Ctx)
	f.NoError(err)
	defer same.Close()
	f.Equal(old.Endpoint(), same.Endpoint())
	f.Equal(old.Key(), same.Key())

	renamed, err := same.Restart(f.Ctx, func(c *service.Config) { c.ID, c.Version = "v2-a", "v2" })
	f.NoError(err)
	defer renamed.Close()
	f.Equal(old.Addr(), renamed.Addr())
	who, err := f.ask(old.Addr())
	f.NoError(err)
	f.Equal("greeter/v2/v2-a", who, "another answers at the address")
	f.Equal([]history.Endpoint{same.Endpoint(), renamed.Endpoint()}, f.truth(),
		"and the instance it replaced was not deregistered")

	moved, err := renamed.Restart(f.Ctx, func(c *service.Config) { c.Port = nil })
	f.NoError(err)
	defer moved.Close()
	f.NotEqual(old.Addr(), moved.Addr())
	f.refused(old.Addr())
	f.Equal([]history.Endpoint{same.Endpoint(), moved.Endpoint()}, f.truth())
}

// The lookup that go-micro's Register begins with is a serializable read: a proxy that still has the entry that another
// proxy's delete has removed makes it renew a lease, write nothing, and say that all is well.
func TestRegisteringThroughAStaleProxySaysNothing(t *testing.T) {
	f := start(t)
	m := f.Cluster.Members[0]
	var through [2]service.Config
	for n, name := range []string{"p1", "p2"} {
		upstream := []proxy.Upstream{{Name: m.Name, Addr: m.Endpoint()}}
		p, err := proxy.Start(f.Ctx, proxy.Config{Name: name, History: f.History, Upstream: upstream})
		f.NoError(err)
		defer p.Close()
		through[n] = f.config("v1-a")
		through[n].Registry.Addresses = []string{p.Addr()}
	}
	i := f.start(through[0])
	address := i.Port()
	back := func(n int) *service.Instance { // the same instance, through another proxy
		next, err := i.Restart(f.Ctx, func(c *service.Config) {
			c.Registry.Addresses, c.Port = through[n].Registry.Addresses, address
		})
		f.NoError(err)
		f.T.Cleanup(func() { f.NoError(next.Close()) })
		return next
	}
	i = back(1) // p2 now has the entry
	f.NoError(i.Crash())
	i = back(0)
	f.NoError(i.Deregister(f.Ctx)) // past p2
	f.Empty(f.truth())

	i = back(1)
	f.NoError(i.Err(), "Register said that it is registered")
	f.NoError(i.Reregister(f.Ctx))
	f.Empty(f.truth(), "and it is not")
	who, err := f.ask(i.Addr())
	f.NoError(err)
	f.Equal("greeter/v1/v1-a", who, "while it serves")
}

func TestNobodyServesAtSomebodysAddress(t *testing.T) {
	f := start(t)
	i := f.start(f.config("v1-a"))
	cfg := f.config("v1-b")
	cfg.Port = i.Port()
	_, err := service.Start(f.Ctx, cfg)
	f.EqualError(err, "instance v1-b did not start: another process still serves at "+i.Addr())
	f.Equal([]history.Endpoint{i.Endpoint()}, f.truth())
	f.NoError(i.Stop(f.Ctx))
	f.Equal(i.Addr(), f.start(cfg).Addr())
}

func TestAnInstanceWithoutARegistryDoesNotStart(t *testing.T) {
	t.Parallel()
	nobody, err := port.Reserve()
	require.NoError(t, err)
	defer nobody.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	_, err = service.Start(ctx, service.Config{Service: "greeter", Version: "v1", ID: "v1-a", History: history.New(),
		Registry: registry.Config{Addresses: []string{nobody.Addr()}}})
	require.EqualError(t, err,
		"instance v1-a did not start: v1-a was not registered at ["+nobody.Addr()+"]: context deadline exceeded")

	_, err = service.Start(ctx, service.Config{Service: "greeter", Version: "v1", ID: "v1-a", History: history.New()})
	require.ErrorContains(t, err, `registry of "v1-a" cannot be: addresses is empty`)
}

func TestARegistryThatIsGone(t *testing.T) {
	f := start(t)
	way, err := link.Listen("v1-a→m1", link.To("tcp", f.Cluster.Members[0].Endpoint()))
	f.NoError(err)
	defer way.Close()
	cfg := f.config("v1-a")
	cfg.Registry.Addresses = []string{way.Addr()}
	i := f.start(cfg)
	way.Blackhole(link.Both)

	ctx, cancel := context.WithTimeout(f.Ctx, 30*time.Millisecond)
	defer cancel()
	f.ErrorContains(i.Reregister(ctx), "v1-a was not registered at ["+way.Addr()+"]: context deadline exceeded")
	f.ErrorContains(i.Err(), "was not registered", "which is remembered")
	err = i.Stop(ctx)
	f.ErrorContains(err, "v1-a was not deregistered at ["+way.Addr()+"]: context deadline exceeded")
	f.refused(i.Addr())
	f.Len(f.truth(), 1, "it stopped all the same, and is a ghost")
}

func TestAConfigThatCannotBe(t *testing.T) {
	t.Parallel()
	_, err := service.Start(context.Background(),
		service.Config{Service: "a/b", ID: "v1-a", TTL: 1500 * time.Millisecond, Interval: -1})
	require.EqualError(t, err, `instance "v1-a" cannot be: service is "a/b"; it may be any name without a slash
version is ""; it may be any name without a slash
ttl is 1.5s; it may be whole seconds (go-micro cuts the rest off), or 0 for no lease
interval is -1ns; it may be 0 (never) or more
history is nil; it may be history.New()`)
}
