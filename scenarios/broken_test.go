//go:build real

package scenarios

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	micro "github.com/micro/go-micro/v2/registry"
	"github.com/stretchr/testify/require"

	"ghostroute/harness"
	"ghostroute/harness/compat"
	"ghostroute/harness/gateway"
	"ghostroute/harness/history"
	"ghostroute/harness/link"
	"ghostroute/harness/program"
	"ghostroute/harness/proxy"
	"ghostroute/harness/registry"
	"ghostroute/harness/wait"
)

// brokenStatements are of what a client does when its connection breaks, and of the router, which shows it to users.
var brokenStatements = []statement{
	{what: "each client makes one connection, in turn", says: placed},
	{what: "a connection that is reset is made anew though nothing is asked", says: anew},
	{what: "a read is under way when the connection is reset", says: readReset},
	{what: "a registration is under way when the connection is reset", says: putReset},
	{what: "a lease is renewed when the connection was just reset", says: renewReset},
	{what: "a watch whose connection was reset, v1-b having registered before it began, is told", says: watchReset},
	{what: "a read while the address refuses", says: refused},
	{what: "a read into a black hole, of a second's timeout", says: func(a *told) string {
		return hole(a, func(r *registry.Registry) error { _, err := r.GetService("hello"); return err })
	}},
	{what: "a renewal into a black hole, of a second's timeout", says: func(a *told) string {
		return hole(a, func(r *registry.Registry) error { return r.Register(one("x"), micro.RegisterTTL(time.Minute)) })
	}},
	{what: "a client of three addresses has connections", on: threeMembers, says: connections},
	{what: "six reads by a client of three addresses, one of which refuses", on: threeMembers, says: func(a *told) string {
		return oneOfThree(a, func(l *link.Link) error { return l.Cut() })
	}},
	{what: "six reads by a client of three addresses, one of which is a black hole", on: threeMembers,
		says: func(a *told) string {
			return oneOfThree(a, func(l *link.Link) error { l.Blackhole(link.Both); return nil })
		}},
}

var threeMembers = harness.Topology{Members: 3, Direct: true}

// opened are the proxies that a client's connections went to, from an event on.
func (a *told) opened(client string, since int) (to []string) {
	for _, e := range a.History.Since(since) {
		if e.Conn != nil && e.Conn.Op == "open" && e.Conn.Client == client {
			to = append(to, e.Conn.Proxy)
		}
	}
	return to
}

func placed(a *told) string {
	var all []string
	for _, client := range []string{"v1-a", "v1-b", "g1", "g2", "g3"} {
		all = append(all, client+" "+strings.Join(a.opened(client, 0), " and "))
	}
	return strings.Join(all, ", ")
}

func anew(a *told) string {
	a.registry("x")
	seen := a.History.Len()
	a.VIP("x").Drop()
	ctx, cancel := context.WithTimeout(a.ctx, 10*time.Second)
	defer cancel()
	err := wait.Until(ctx, "no connection", func() bool { return len(a.opened("x", seen)) > 0 })
	return fmt.Sprint(err == nil)
}

// reset has something done through p1, whose proxy holds it when the connection is reset; what comes after goes to p2.
func reset(a *told, hold proxy.Hold, do func(*registry.Registry) error) string {
	require.NoError(a, a.Only("p1"))
	r := a.registry("x")
	g := a.Hold("p1", hold)
	ended := make(chan error, 1)
	var reads []registry.Read
	go func() {
		var err error
		reads = r.Trace(a.ctx, func() { err = do(r) })
		ended <- err
	}()
	require.NoError(a, g.Caught(a.ctx))
	require.NoError(a, a.Only("p2"))
	a.VIP("x").Drop()
	err := <-ended
	g.Release()
	said := a.text(err)
	if n := len(reads); n > 0 && err == nil {
		said += ", answered by " + reads[n-1].Via
	}
	return said
}

func readReset(a *told) string {
	return reset(a, proxy.Hold{RPC: "Range", Key: "/micro/registry/hello/"}, func(r *registry.Registry) error {
		_, err := r.GetService("hello")
		return err
	})
}

func putReset(a *told) string {
	return reset(a, proxy.Hold{RPC: "Put", Point: history.BeforeMember}, func(r *registry.Registry) error {
		return r.Register(one("x"), micro.RegisterTTL(time.Minute))
	})
}

func renewReset(a *told) string {
	require.NoError(a, a.register("x"))
	a.VIP("x").Drop()
	ctx, cancel := context.WithTimeoutCause(a.ctx, 20*time.Second, errors.New("the test's patience"))
	defer cancel()
	var err error
	a.registry("x").Trace(ctx, func() { err = a.register("x") })
	return a.text(err)
}

func refused(a *told) string {
	r := a.slow("x", time.Second)
	a.made["x"] = r
	require.NoError(a, a.Cut(a.ctx, "x"))
	_, err := r.GetService("hello")
	said := a.text(err)
	require.NoError(a, a.Mend(a.ctx, "x"))
	err = wait.Until(a.ctx, "it is not answered any more", func() bool { return a.get("x") == nil })
	return said + "; when it takes connections again: " + a.text(err)
}

// watchReset has a registration follow upon a reset of the watch's connection. What came last before it is told, too:
// etcd's client resumes a watch that has met nothing yet at the revision at which it was created, not after it
// (clientv3/watch.go, serveSubstream: nextRev). go-micro's watcher tells of one event of each response, so whether it
// tells of the registration as well is luck.
func watchReset(a *told) string {
	w, err := a.registry("g").Watch()
	require.NoError(a, err)
	defer w.Stop()
	a.VIP("g").Drop()
	require.NoError(a, a.register("x"))
	return met(a, w)
}

// hole has a client of a second's timeout do something into a black hole. It is waited for three times as long.
func hole(a *told, do func(*registry.Registry) error) string {
	r := a.slow("x", time.Second)
	require.NoError(a, r.Register(one("x"), micro.RegisterTTL(time.Minute)))
	require.NoError(a, a.Blackhole(a.ctx, "x"))
	ctx, cancel := context.WithTimeoutCause(a.ctx, 3*time.Second, errors.New("not by itself within three"))
	defer cancel()
	var err error
	r.Trace(ctx, func() { err = do(r) })
	return a.text(err)
}

func connections(a *told) string {
	a.registry("x")
	links, err := a.Links("x")
	require.NoError(a, err)
	ctx, cancel := context.WithTimeout(a.ctx, 10*time.Second)
	defer cancel()
	_ = wait.Until(ctx, "not to all", func() bool { // which is an answer, too
		for _, l := range links {
			if len(l.Conns()) == 0 {
				return false
			}
		}
		return true
	})
	var all []string
	for _, l := range links {
		all = append(all, fmt.Sprintf("%s: %d", l.Name(), len(l.Conns())))
	}
	return strings.Join(all, ", ")
}

// oneOfThree has a client with three connections read six times once one of them is broken.
func oneOfThree(a *told, breaks func(*link.Link) error) string {
	r := a.slow("x", 2*time.Second)
	a.made["x"] = r
	links, err := a.Links("x")
	require.NoError(a, err)
	require.NoError(a, wait.Until(a.ctx, "some connection is not used", func() bool {
		_, err := r.GetService("hello")
		require.NoError(a, err)
		return !slices.ContainsFunc(links, func(l *link.Link) bool { return len(l.Conns()) == 0 || l.Conns()[0].Up < 300 })
	}))
	require.NoError(a, breaks(links[0]))
	n, how := 0, map[string]bool{}
	for range 6 {
		if _, err := r.GetService("hello"); err != nil {
			n++
			how[a.text(err)] = true
		}
	}
	return fmt.Sprintf("%d fail: %s", n, cmp.Or(strings.Join(slices.Sorted(maps.Keys(how)), " or "), "none"))
}

// routing is go-micro's router with its cache and its watch: of this process, or of the client's own.
func routing(a *told, name string, ttl time.Duration) (ask func() []string) {
	addrs, err := a.Addresses(name)
	require.NoError(a, err)
	if a.Topology.Client == (program.Program{}) {
		g, err := gateway.Start(a.ctx, gateway.Config{Name: name, Kind: gateway.GoMicro, CacheTTL: ttl, History: a.History,
			Registry: registry.Config{Addresses: addrs}})
		require.NoError(a, err)
		a.Ends(g.Close)
		return func() []string { return history.IDs(g.Resolve(a.ctx, "hello").Endpoints) }
	}
	c, err := compat.Start(compat.Config{Name: name, Program: a.Topology.Client, Dir: a.Cluster.Dir(), Addresses: addrs,
		CacheTTL: ttl})
	require.NoError(a, err)
	a.Ends(c.Close)
	do := func(command compat.Command) compat.Answer {
		got, err := c.Do(a.ctx, command)
		require.NoError(a, err)
		require.NoError(a, got.Err())
		return got
	}
	do(compat.Command{Do: "connect"})
	return func() []string {
		return history.IDs(registry.Endpoints(do(compat.Command{Do: "route", Name: "hello"}).Services))
	}
}

// resurrected has the router's watch drop what was deregistered, and its cache read it again at a proxy that has not
// forgotten it.
func resurrected(a *told) string {
	require.NoError(a, a.Only("p2"))
	ask := routing(a, "r", 2*time.Second)
	first := ask()
	require.NoError(a, a.Only("p1"))
	canaries := a.registry("canary")
	n := 0
	canary := func(id string) bool { return strings.HasPrefix(id, "canary") }
	require.NoError(a, wait.Until(a.ctx, "the router's watch does not stand", func() bool {
		n++ // p2 never hears of it: by the watch alone it is known
		err := canaries.Register(one(fmt.Sprint("canary", n)), micro.RegisterTTL(time.Minute))
		require.NoError(a, err)
		return slices.ContainsFunc(ask(), canary)
	}))
	require.NoError(a, a.Leave(a.ctx, "v1-a"))
	said := fmt.Sprintf("at first %v", first)
	for _, then := range []struct{ when, want string }{
		{"told by its watch", "[v1-b]"},
		{"its TTL being over", "[v1-a v1-b]"},
	} {
		is := ""
		err := wait.Until(a.ctx, "it is never told so", func() bool {
			is = fmt.Sprint(slices.DeleteFunc(ask(), canary))
			return is == then.want
		})
		if err != nil {
			is += ", and never " + then.want
		}
		said += fmt.Sprintf("; %s %s", then.when, is)
	}
	return said
}
