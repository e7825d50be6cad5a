//go:build real

package scenarios

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	micro "github.com/micro/go-micro/v2/registry"
	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness"
	"ghostroute/harness/history"
	"ghostroute/harness/keys"
	"ghostroute/harness/program"
	"ghostroute/harness/registry"
)

// statement is something that today's client and that of the incident are both asked to say, on a bench of its own
// whose clients are the one or the other.
type statement struct {
	what string
	on   harness.Topology // one member, unless it says so
	says func(*told) string
}

// statements are of the registry itself, and in broken_test.go of connections that break.
var statements = slices.Concat([]statement{
	{what: "incident: what each gateway is told once v1-a has deregistered through p1", says: eachGateway},
	{what: "GetService asks etcd", says: func(a *told) string { return a.asked("v1", (*told).get) }},
	{what: "ListServices asks etcd", says: func(a *told) string { return a.asked("v1", (*told).list) }},
	{what: "ListServices is told of a service that is gone", says: listed},
	{what: "Register asks etcd", says: func(a *told) string { return a.asked("new", (*told).register) }},
	{what: "Register writes", says: value},
	{what: "Register again asks etcd", says: func(a *told) string {
		require.NoError(a, a.register("again"))
		return a.asked("again", (*told).register)
	}},
	{what: "Register again, the lease being gone, asks etcd", says: leaseGone},
	{what: "Register by another process of the same name, its lookup being a hit, asks etcd", says: believes},
	{what: "Deregister asks etcd", says: func(a *told) string {
		require.NoError(a, a.register("x"))
		return a.asked("x", (*told).deregister)
	}},
	{what: "Deregister leaves the lease", says: leaves},
	{what: "Deregister of what is not registered", says: func(a *told) string {
		return a.text(a.deregister("x"))
	}},
	{what: "GetService of a service that nobody registered", says: notFound},
	{what: "ListServices of an empty registry", on: harness.Topology{Instances: []string{}}, says: func(a *told) string {
		all, err := a.registry("x").ListServices()
		return fmt.Sprintf("%d services, %s", len(all), a.text(err))
	}},
	{what: "a watch is told of a registration, a change and a deregistration", says: watches},
	{what: "a watch of one service is told of another", says: watchesOne},
	{what: "the router's cache, once v1-a has deregistered through another proxy", says: resurrected},
}, brokenStatements)

// by is what a client says: the zero Program is today's stand-in.
func (s statement) by(t *testing.T, client program.Program) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	top := s.on
	top.Members, top.Client = cmp.Or(top.Members, 1), client
	b, err := harness.Open(ctx, top)
	require.NoError(t, err)
	defer func() { require.NoError(t, b.Close()) }()
	require.Equal(t, client != program.Program{}, b.Gateway("g1").Registry().Client() == nil, "it is the other client")
	a := &told{T: t, Bench: b, ctx: ctx, made: map[string]*registry.Registry{}}
	said := s.says(a)
	t.Logf("%q: %s", client.Version, said)
	return said
}

// told is one of the two, on its bench.
type told struct {
	*testing.T
	*harness.Bench
	ctx  context.Context
	made map[string]*registry.Registry
}

// registry is a client of that name, with a connection.
func (a *told) registry(name string) *registry.Registry {
	a.Helper()
	if a.made[name] == nil {
		a.made[name] = a.slow(name, 0)
	}
	return a.made[name]
}

// slow is a client that go-micro gives so long for a call.
func (a *told) slow(name string, timeout time.Duration) *registry.Registry {
	a.Helper()
	addrs, err := a.Addresses(name)
	require.NoError(a, err)
	r, err := registry.New(a.ctx, registry.Config{Client: name, Addresses: addrs, History: a.History, Timeout: timeout,
		Program: a.Topology.Client, Dir: a.Cluster.Dir()})
	require.NoError(a, err)
	a.Ends(r.Close)
	require.NoError(a, r.Connect(a.ctx))
	return r
}

// one is a service of one node, of that name.
func one(id string) *micro.Service {
	return &micro.Service{Name: "hello", Version: "v9", Metadata: map[string]string{"of": "test"},
		Nodes: []*micro.Node{{Id: keys.NodeID("hello", id), Address: "127.0.0.1:9", Metadata: map[string]string{"a": "b"}}}}
}

func (a *told) get(name string) error {
	_, err := a.registry(name).GetService("hello")
	return err
}

func (a *told) list(name string) error {
	_, err := a.registry(name).ListServices()
	return err
}

func (a *told) register(name string) error {
	return a.registry(name).Register(one(name), micro.RegisterTTL(time.Minute))
}

func (a *told) deregister(name string) error { return a.registry(name).Deregister(one(name)) }

// asked is what a client asks of etcd while it does something, and what came of that.
func (a *told) asked(name string, do func(*told, string) error) string {
	r := a.registry(name)
	seen := a.History.Len()
	var err error
	var ops []string
	for _, read := range r.Trace(a.ctx, func() { err = do(a, name) }) {
		op := "range " + read.Key
		if read.End != "" {
			op = "range " + read.Key + "*"
		}
		if read.Serializable {
			op += " serializable"
		}
		ops = append(ops, fmt.Sprintf("%s (%s)", op, read.Source))
	}
	for _, e := range a.History.Since(seen) {
		if w := e.Write; w != nil && e.Who == name {
			op := w.Op
			if w.Err != "" {
				op += ": " + a.plain(w.Err)
			}
			ops = append(ops, op)
		}
	}
	return strings.Join(append(ops, a.text(err)), ", ")
}

// text is an error as a table has it.
func (a *told) text(err error) string {
	if err == nil {
		return "no error"
	}
	return "error " + a.plain(err.Error())
}

// plain is a text without addresses, which are the system's choice.
func (a *told) plain(text string) string {
	for name := range a.made {
		addrs, err := a.Addresses(name)
		require.NoError(a, err)
		for _, addr := range addrs {
			text = strings.ReplaceAll(text, addr, "ADDR")
		}
	}
	// how a connection broke off, a matter of moments
	text = regexp.MustCompile("(error reading from server): .*").ReplaceAllString(text, "$1")
	return strings.ReplaceAll(text, "|", "\\|")
}

func eachGateway(a *told) string {
	require.NoError(a, a.Prime(a.ctx))
	require.NoError(a, a.Leave(a.ctx, "v1-a"))
	var all []string
	for _, g := range a.Gateways() {
		r, calls := a.Look(a.ctx, g.Name())
		var came []string
		for _, c := range calls {
			came = append(came, fmt.Sprintf("%s %d", c.Target, c.Status))
		}
		all = append(all, fmt.Sprintf("%s, %s at %s: %s", g.Name(), r.Source, r.Via, strings.Join(came, ", ")))
	}
	return strings.Join(all, "; ")
}

func listed(a *told) string {
	require.NoError(a, a.register("v1")) // through the proxy after the operator's and the gateways'
	reader := a.registry("reader")
	_, err := reader.ListServices()
	require.NoError(a, err)
	require.NoError(a, a.deregister("v1"))
	var ids []string
	reads := reader.Trace(a.ctx, func() {
		all, err := reader.ListServices()
		require.NoError(a, err)
		ids = history.IDs(registry.Endpoints(all))
	})
	return fmt.Sprintf("%s, %s", ids, reads[0].Source)
}

func value(a *told) string {
	require.NoError(a, a.register("x"))
	r, err := a.Cluster.Truth(a.ctx, keys.Node("hello", "x"))
	require.NoError(a, err)
	require.Len(a, r.Kvs, 1)
	return fmt.Sprintf("`%s` with a lease: %v", r.Kvs[0].Value, r.Kvs[0].Lease != 0)
}

// lease is that of a client's key.
func (a *told) lease(name string) clientv3.LeaseID {
	r, err := a.Cluster.Truth(a.ctx, keys.Node("hello", name))
	require.NoError(a, err)
	require.Len(a, r.Kvs, 1)
	require.NotZero(a, r.Kvs[0].Lease)
	return clientv3.LeaseID(r.Kvs[0].Lease)
}

func leaseGone(a *told) string {
	require.NoError(a, a.register("x"))
	_, err := a.Cluster.Client().Revoke(a.ctx, a.lease("x"))
	require.NoError(a, err)
	return a.asked("x", (*told).register)
}

// believes has a process register, another read its key through a proxy, and the first deregister elsewhere: a third,
// behind that proxy, is told that it is registered.
func believes(a *told) string {
	require.NoError(a, a.register("x"))
	require.NoError(a, a.Only("p2"))
	a.made["x of old"] = a.made["x"]
	delete(a.made, "x")
	require.NoError(a, a.register("x")) // its lookup is a miss, and stays at p2
	require.NoError(a, a.made["x of old"].Deregister(one("x")))
	delete(a.made, "x")
	said := a.asked("x", (*told).register)
	r, err := a.Cluster.Truth(a.ctx, keys.Node("hello", "x"))
	require.NoError(a, err)
	return fmt.Sprintf("%s; registered: %v", said, r.Count > 0)
}

func leaves(a *told) string {
	require.NoError(a, a.register("x"))
	lease := a.lease("x")
	require.NoError(a, a.deregister("x"))
	r, err := a.Cluster.Client().TimeToLive(a.ctx, lease)
	require.NoError(a, err)
	return fmt.Sprintf("%v, of %d s", r.TTL > 0, r.GrantedTTL)
}

func notFound(a *told) string {
	all, err := a.registry("x").GetService("nobody")
	return fmt.Sprintf("%d services, %s, go-micro's ErrNotFound: %v", len(all), a.text(err), errors.Is(err,
		micro.ErrNotFound))
}

// met is what a watch is told next.
func met(a *told, w micro.Watcher) string {
	defer context.AfterFunc(a.ctx, w.Stop)() // Next waits for ever
	r, err := w.Next()
	require.NoError(a, err)
	n := r.Service.Nodes[0]
	if n.Id == keys.NodeID("hello", "x") {
		return fmt.Sprintf("%s %s %s", r.Action, n.Id, n.Address)
	}
	return r.Action + " " + n.Id
}

func watches(a *told) string {
	w, err := a.registry("g").Watch()
	require.NoError(a, err)
	defer w.Stop()
	s := one("x")
	require.NoError(a, a.registry("x").Register(s, micro.RegisterTTL(time.Minute)))
	all := []string{met(a, w)}
	s.Nodes[0].Address = "127.0.0.1:10"
	require.NoError(a, a.registry("x").Register(s, micro.RegisterTTL(time.Minute)))
	all = append(all, met(a, w))
	require.NoError(a, a.registry("x").Deregister(s))
	all = append(all, met(a, w))
	w.Stop()
	_, err = w.Next()
	return strings.Join(append(all, "stopped: "+a.text(err)), ", ")
}

func watchesOne(a *told) string {
	w, err := a.registry("g").Watch(micro.WatchService("hello"))
	require.NoError(a, err)
	defer w.Stop()
	other := one("y")
	other.Name = "hello2"
	require.NoError(a, a.registry("y").Register(other, micro.RegisterTTL(time.Minute)))
	require.NoError(a, a.register("x"))
	return "first " + met(a, w)
}
