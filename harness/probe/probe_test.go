//go:build linux

package probe_test

import (
	"fmt"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness/probe"
	"ghostroute/harness/record"
)

// The incident: an instance deregisters through p1, and p2 keeps it. The probe names p2, the key and both revisions,
// heals it, and leaves etcd as it was.
func TestTheIncident(t *testing.T) {
	t.Parallel()
	s := start(t)
	p1, p2 := s.proxy(), s.proxy("--advertise-client-url=")
	one, two := s.client(p1), s.client(p2)
	for _, id := range []string{"v1-a", "v1-b"} {
		s.put(node("greeter", id))
	}
	s.Len(s.read(one, "greeter"), 2)
	s.Len(s.read(two, "greeter"), 2)
	s.delete(one, node("greeter", "v1-a"))
	s.Len(s.read(one, "greeter"), 1)
	before := s.state(p1, p2)

	r := s.probe(probe.Config{Endpoints: []string{s.member, p1, p2}, LeaveNoTrace: true})
	s.Equal(probe.Member, row(r, s.member).Role)
	s.Equal(probe.Proxy, row(r, p1).Role)
	s.Equal(probe.Proxy, row(r, p2).Role)
	s.Contains(row(r, p1).How, "ID 0")
	s.NotContains(row(r, p2).How, "ID 0", "it has no address to advertise")
	s.Empty(lies(r, p1))
	s.Equal([]string{"ghost /micro/registry/greeter/ ghost " + node("greeter", "v1-a")}, lies(r, p2))
	s.Equal(before, s.state(p1, p2), "the probe left something behind")

	r = s.probe(probe.Config{Endpoints: []string{s.member, p1, p2}, Heal: true, LeaveNoTrace: true})
	s.Equal(1, row(r, p2).Healed)
	s.Zero(r.Lies())
	after := s.state(p1, p2)
	s.Equal(before.revision, after.revision)
	s.Equal(before.cached[0], after.cached[0])
	s.Equal(before.cached[1]-1, after.cached[1], "the ghost is gone, and nothing else")
	s.Len(s.read(two, "greeter"), 1)
}

// Each cause leaves its own kind of lie, a verdict each.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	s := start(t)
	p1, p2 := s.proxy(), s.proxy()
	one, two := s.client(p1), s.client(p2)
	s.put(node("changed", "a"))
	s.put(node("last", "a"))
	s.put(node("nested", "a"))
	for _, service := range []string{"changed", "last", "nested"} {
		s.Len(s.read(two, service), 1)
	}
	s.Empty(s.read(two, "late"), "an empty answer is kept, too")
	s.put(node("late", "a"))
	s.put(node("changed", "a"))
	s.delete(one, node("last", "a"))
	inner := clientv3.OpTxn(nil, []clientv3.Op{clientv3.OpDelete(node("nested", "a"))}, nil)
	_, err := two.Txn(s.ctx).Then(inner).Commit()
	s.NoError(err)
	before := s.state(p1, p2)

	r := s.probe(probe.Config{Members: []string{s.member}, Proxies: []string{p1, p2}, LeaveNoTrace: true})
	s.Equal([]string{
		"ghost /micro/registry/last/ ghost " + node("last", "a"), // truth has no such service: its history has
		"ghost /micro/registry/nested/ ghost " + node("nested", "a"),
		"hidden /micro/registry/late/ hidden " + node("late", "a"),
		"changed /micro/registry/changed/ changed " + node("changed", "a"),
	}, lies(r, p2))
	s.Empty(lies(r, p1))
	s.Equal(before, s.state(p1, p2))
	for _, e := range r.Entries {
		if e.Verdict == probe.Changed {
			s.Less(e.Keys[0].Answered, e.Keys[0].Truth)
		}
	}

	r = s.probe(probe.Config{Endpoints: []string{s.member, p2}, Heal: true})
	s.Zero(r.Lies())
	s.Equal(4, row(r, p2).Healed)
	s.Equal(before.revision, s.state().revision)
}

// With authentication on a look is free: nothing is filed, nothing but what is cached is answered, and that to anybody.
func TestALookIsFree(t *testing.T) {
	t.Parallel()
	s := start(t)
	p := s.proxy()
	s.put(node("greeter", "a"))
	s.put(node("greeter", "b"))
	s.put(node("other", "a"))
	s.authenticate("reader")
	c := s.clientAs(p, "reader")
	s.Len(s.read(c, "greeter"), 2)
	s.get(c, node("greeter", "a"))
	s.delete(s.admin, node("greeter", "a"))
	before := s.state(p)
	s.Equal(int64(2), before.cached[0])

	config := probe.Config{Endpoints: []string{s.member, p}, User: "reader", Password: "reader"}
	r := s.probe(config)
	s.Equal([]string{
		"ghost /micro/registry/greeter/ ghost " + node("greeter", "a"),
		"ghost " + node("greeter", "a") + " ghost " + node("greeter", "a"), // what Register looks up
	}, lies(r, p))
	s.True(row(r, p).Leaks)
	s.Equal(before, s.state(p))

	_, err := probe.Run(s.ctx, probe.Config{Endpoints: []string{s.member, p}})
	s.ErrorContains(err, "--user")
	_, err = probe.Run(s.ctx, probe.Config{Endpoints: []string{s.member, p}, User: "reader", Password: "wrong"})
	s.ErrorContains(err, "does not know reader")

	config.Heal = true
	r = s.probe(config)
	s.Zero(r.Lies())
	after := s.state(p)
	s.Equal(before.revision, after.revision)
	s.Zero(after.cached[0], "both ghosts are gone, and a look files nothing")

	// One who may read nothing is answered all the same.
	s.Len(s.read(c, "greeter"), 1)
	_, err = s.admin.UserAdd(s.ctx, "nobody", "nobody")
	s.NoError(err)
	config = probe.Config{Endpoints: []string{s.member, p}, User: "nobody", Password: "nobody",
		Services: []string{"greeter"}}
	r = s.probe(config)
	s.Equal([]string{"identity /micro/registry/greeter/"}, lies(r, p))
}

// A compaction hides what was; one that passed through the proxy freezes it, and the empty transaction heals it still.
func TestCompacted(t *testing.T) {
	t.Parallel()
	s := start(t)
	p1, p2 := s.proxy(), s.proxy()
	one, two := s.client(p1), s.client(p2)
	s.put(node("greeter", "a"))
	s.read(one, "greeter")
	s.read(two, "greeter")
	s.delete(s.admin, node("greeter", "a"))
	s.put("/elsewhere")
	at, err := s.admin.Get(s.ctx, "a")
	s.NoError(err)
	_, err = two.Compact(s.ctx, at.Header.Revision)
	s.NoError(err)
	before := s.state(p1, p2)

	config := probe.Config{Endpoints: []string{s.member, p1, p2}, Services: []string{"greeter"}, LeaveNoTrace: true}
	r := s.probe(config)
	s.Equal([]string{"undecidable /micro/registry/greeter/ ghost " + node("greeter", "a")}, lies(r, p1))
	s.Equal([]string{"frozen /micro/registry/greeter/ ghost " + node("greeter", "a")}, lies(r, p2))
	s.NotContains(strings.Join(r.Notes, " "), "not to its end", "what is left of the history is read at once")
	s.True(row(r, p2).Frozen)
	s.False(row(r, p1).Frozen)
	s.Equal(before, s.state(p1, p2))

	config.Heal = true
	r = s.probe(config)
	s.Zero(r.Lies())
	s.Equal(before.revision, s.state().revision)
}

// An answer to a read from a key on is reached by no write: it is named with what helps.
func TestFromKey(t *testing.T) {
	t.Parallel()
	s := start(t)
	p := s.proxy()
	c := s.client(p)
	s.put(node("greeter", "a"))
	s.Len(s.get(c, "/micro/registry/", clientv3.WithFromKey()), 1)
	s.delete(s.admin, node("greeter", "a"))
	form, err := probe.ParseForm("mine", "get --from-key {prefix}")
	s.NoError(err)

	r := s.probe(probe.Config{Endpoints: []string{s.member, p}, Forms: []probe.Form{form}, Heal: true})
	s.Equal([]string{"ghost /micro/registry/ ghost " + node("greeter", "a")}, lies(r, p))
	s.Equal(1, r.Lies(), "it was not healed")
	s.Contains(r.Entries[0].Help, "restart "+p)
}

// Nothing, keys that are no text, more keys than a page, and a namespace.
func TestKeys(t *testing.T) {
	t.Parallel()
	s := start(t)
	p := s.proxy()
	r := s.probe(probe.Config{Endpoints: []string{s.member, p}})
	s.Zero(r.Keys)
	s.Empty(r.Entries)

	odd := "/micro/registry/\xff\x00\\/\xfe"
	s.put(odd)
	c := s.client(p)
	s.Len(s.get(c, "/micro/registry/\xff\x00\\/", clientv3.WithPrefix()), 1)
	s.delete(s.admin, odd)
	r = s.probe(probe.Config{Endpoints: []string{s.member, p}, Heal: true})
	s.Equal(1, row(r, p).Healed)
	var out strings.Builder
	s.NoError(r.JSON(&out))
	s.Contains(out.String(), `"key":"/micro/registry/\\xff\\x00\\\\/\\xfe"`)

	const many = 25_000
	for i := 0; i < many; i += 100 {
		var puts []clientv3.Op
		for j := range 100 {
			puts = append(puts, clientv3.OpPut(node("many", fmt.Sprintf("%06d", i+j)), "x"))
		}
		_, err := s.admin.Txn(s.ctx).Then(puts...).Commit()
		s.NoError(err)
	}
	s.Len(s.read(c, "many"), many)
	s.delete(s.admin, node("many", "012345"))
	r = s.probe(probe.Config{Endpoints: []string{s.member, p}})
	s.Equal(many-1, r.Keys)
	s.Equal([]string{"ghost /micro/registry/many/ ghost " + node("many", "012345")}, lies(r, p))

	spaced := s.proxy("--namespace", "/ns")
	s.put("/ns" + node("mine", "a"))
	s.put("/nr/between/a/prefix/and/its/namespace")
	s.Len(s.read(s.client(spaced), "mine"), 1)
	s.delete(s.admin, "/ns"+node("mine", "a"))
	r = s.probe(probe.Config{Endpoints: []string{s.member, spaced}, Namespaces: map[string]string{spaced: "/ns"}})
	s.Equal([]string{"ghost /micro/registry/mine/ ghost " + node("mine", "a")}, lies(r, spaced))
}

// What was filed is taken out again though an answer that was there before holds it; that one is filed again. One that
// lies is not touched, and what it holds is left, and said.
func TestLeaveNoTrace(t *testing.T) {
	t.Parallel()
	s := start(t)
	p1, p2 := s.proxy(), s.proxy()
	for _, service := range []string{"a", "b", "c"} {
		s.put(node(service, "1"))
	}
	for _, p := range []string{p1, p2} {
		s.get(s.client(p), "/micro/registry/", clientv3.WithPrefix())
		s.read(s.client(p), "a")
	}
	config := probe.Config{Endpoints: []string{s.member, p1, p2}, LeaveNoTrace: true}
	before := s.state(p1, p2)
	r := s.probe(config)
	s.Equal(before, s.state(p1, p2))
	s.Equal(4, row(r, p1).Answers, "a list, and three services of which two were filed")
	s.Zero(row(r, p1).Left)
	s.Equal(2, row(r, p1).Sent)

	s.delete(s.client(p1), node("c", "1"))
	before = s.state(p1, p2)
	r = s.probe(config)
	s.Equal([]string{"ghost /micro/registry/ ghost " + node("c", "1")}, lies(r, p2))
	after := s.state(p1, p2)
	s.Equal(before.cached[0], after.cached[0])
	s.Equal(2, row(r, p2).Left)
	s.Equal(before.cached[1]+2, after.cached[1], "what is left is what was said")
	s.Contains(strings.Join(row(r, p2).Notes, " "), "2 of the 2 answers that it filed are left")

	s.Equal(before.revision, after.revision)
}

// Where etcd was restored, a proxy keeps what was true in another history: by its revision that never was.
func TestRestored(t *testing.T) {
	t.Parallel()
	s := start(t)
	p := s.proxy()
	c := s.client(p)
	for i := range 5 {
		s.put(node("later", fmt.Sprint(i)))
	}
	s.put(node("same", "a"))
	s.Len(s.read(c, "same"), 1)
	s.Len(s.read(c, "later"), 5)
	s.anew()
	_, err := s.admin.Put(s.ctx, node("same", "a"), "{}")
	s.NoError(err)
	r := s.probe(probe.Config{Endpoints: []string{s.member, p}, Services: []string{"later"}})
	for _, e := range r.Entries {
		if e.Verdict != probe.Fresh {
			s.Equal(probe.NeverTrue, e.Verdict)
			s.Contains(e.Why, "etcd has not reached its revision")
		}
	}
	s.Len(lies(r, p), 2)
	for range 10 {
		s.put(node("same", "b"))
	}
	r = s.probe(probe.Config{Endpoints: []string{s.member, p}, Services: []string{"later"}, Heal: true})
	s.Contains(r.Entries[0].Why, "etcd had something else at its revision")
	s.Zero(r.Lies())
}

// Whatever a probe does, a proxy gets nothing from it but serializable reads, transactions without an operation, and
// questions about who it is.
func TestWhatAProxyIsSent(t *testing.T) {
	t.Parallel()
	s := start(t)
	p := s.proxy()
	relay, err := record.Listen(s.ctx, "127.0.0.1:0", p, nil)
	s.NoError(err)
	t.Cleanup(relay.Close)
	s.put(node("greeter", "a"))
	s.read(s.client(p), "greeter")
	s.delete(s.admin, node("greeter", "a"))
	s.put("/elsewhere")
	at, err := s.admin.Get(s.ctx, "a")
	s.NoError(err)
	_, err = s.admin.Compact(s.ctx, at.Header.Revision)
	s.NoError(err)
	var names []string
	for _, f := range probe.Forms() {
		names = append(names, f.Name)
	}
	s.Len(names, 5)
	config := probe.Config{Members: []string{s.member}, Proxies: []string{relay.Addr()}, Forms: probe.Forms(), Heal: true,
		Services: []string{"greeter"}}
	r := s.probe(config)
	s.Equal(1, row(r, relay.Addr()).Healed)
	for _, read := range relay.Reads() {
		s.True(read.Request.Serializable, probe.Line(read.Request))
	}
	var methods []string
	for m := range relay.Calls() {
		methods = append(methods, m)
	}
	s.ElementsMatch([]string{"MemberList", "Range", "Status", "Txn"}, methods)
	s.Equal(1, relay.Calls()["Txn"])
}
