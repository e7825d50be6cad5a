//go:build real && linux

package probe_test

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/balancer"
	"ghostroute/harness/history"
	"ghostroute/harness/probe"
	"ghostroute/harness/program"
)

// Behind HAProxy each of three proxies is met by a connection of its own; how many it took is said, and one that the
// balancer sends nobody to is not said to be well.
func TestBehindHAProxy(t *testing.T) {
	t.Parallel()
	s := start(t)
	var behind []balancer.Backend
	var proxies []string
	for i := range 3 {
		p := s.proxy()
		proxies = append(proxies, p)
		behind = append(behind, balancer.Backend{Name: fmt.Sprint("p", i+1), Addr: p, Weight: 1})
	}
	haproxy, err := balancer.Find(s.ctx, "haproxy")
	s.NoError(err)
	b, err := balancer.NewHAProxy(s.ctx, history.New(), behind, balancer.HAProxy{Program: haproxy, Dir: t.TempDir()})
	s.NoError(err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	vip, err := b.VIP("probe")
	s.NoError(err)

	s.put(node("greeter", "a"))
	s.put(node("greeter", "b"))
	for _, p := range proxies[1:] {
		s.Len(s.read(s.client(p), "greeter"), 2)
	}
	s.delete(s.admin, node("greeter", "a"))
	revision := s.state().revision
	config := probe.Config{Members: []string{s.member}, Proxies: []string{vip.Addr()}, Connections: 6}
	r := s.probe(config)
	notes := strings.Join(row(r, vip.Addr()).Notes, " ")
	s.Regexp(`6 connections met 3 proxies, \S+, \S+ and \S+, the last by connection [3-6];`, notes)
	for _, p := range proxies {
		s.Contains(notes, p)
	}
	s.Equal([]string{proxies[1], proxies[2]}, lying(s, r, proxies))

	// p3 is drained, and whoever is connected to it keeps its ghost.
	s.NoError(b.SetWeights(map[string]int{"p1": 1, "p2": 1, "p3": 0}))
	config.Heal = true
	r = s.probe(config)
	notes = strings.Join(row(r, vip.Addr()).Notes, " ")
	s.Contains(notes, "6 connections met 2 proxies, ")
	s.NotContains(notes, proxies[2])
	s.Contains(notes, "one that none of them went to was not asked")
	s.Zero(r.Lies(), "those that were met are healed")
	s.Len(s.read(s.client(proxies[1]), "greeter"), 1)
	s.Len(s.read(s.client(proxies[2]), "greeter"), 2, "and this one was not asked")

	r = s.probe(probe.Config{Members: []string{s.member}, Proxies: proxies, Heal: true})
	s.Equal(1, row(r, proxies[2]).Healed)
	s.Equal(revision, s.state().revision)
}

// lying are the proxies that a report's lies came from, by the address that each advertises.
func lying(s *site, r *probe.Report, proxies []string) []string {
	s.t.Helper()
	found := map[string]bool{}
	for _, e := range r.Entries {
		if e.Verdict == probe.Fresh {
			continue
		}
		s.Equal(probe.Ghost, e.Verdict)
		names := row(r, e.Endpoint).Names
		s.Len(names, 1)
		s.Contains(proxies, names[0])
		found[names[0]] = true
	}
	return slices.DeleteFunc(slices.Clone(proxies), func(p string) bool { return !found[p] })
}

// Members of two versions, as in the middle of an upgrade, and proxies of others: who is what, the verdicts and the
// cure are the same.
func TestVersionsMixed(t *testing.T) {
	t.Parallel()
	s, members := mixed(t, "3.5", "3.6", "3.6")
	proxies := map[string]string{}
	for _, release := range []string{"3.5", "3.6", "3.7"} {
		s.program = built(s, release).Path
		proxies[release], _ = s.proxyOf(strings.Join(slices.Sorted(maps.Keys(members)), ","))
	}
	s.put(node("greeter", "a"))
	s.put(node("greeter", "b"))
	s.put(node("last", "a"))
	for _, p := range proxies {
		s.Len(s.read(s.client(p), "greeter"), 2)
		s.Len(s.read(s.client(p), "last"), 1)
	}
	s.delete(s.client(proxies["3.5"]), node("greeter", "a"))
	s.delete(s.admin, node("last", "a"))
	all := slices.Collect(maps.Values(proxies))
	before := s.state(all...)

	config := probe.Config{Endpoints: slices.Concat(slices.Collect(maps.Keys(members)), all), LeaveNoTrace: true}
	r := s.probe(config)
	s.Empty(r.Missed())
	for addr, version := range members {
		s.Equal(probe.Member, row(r, addr).Role, version)
		s.Equal(version, row(r, addr).Version)
	}
	last := "ghost /micro/registry/last/ ghost " + node("last", "a")
	for release, addr := range proxies {
		s.Equal(probe.Proxy, row(r, addr).Role, release)
		want := []string{"ghost /micro/registry/greeter/ ghost " + node("greeter", "a"), last}
		if release == "3.5" {
			want = []string{last}
		}
		s.Equal(want, lies(r, addr), release)
	}
	s.Equal(before, s.state(all...), "the probe left something behind")

	config.Heal = true
	r = s.probe(config)
	s.Zero(r.Lies())
	s.Equal(before.revision, s.state().revision)
	for release, addr := range proxies {
		s.Len(s.read(s.client(addr), "greeter"), 1, release)
		s.Empty(s.read(s.client(addr), "last"), release)
	}
}

// A proxy of 3.4 has no metrics of its own, so that it is not asked where nothing may be left behind; else it is.
func TestAnOldProxy(t *testing.T) {
	t.Parallel()
	s, members := mixed(t, "3.6")
	old, err := program.Find(s.ctx, "3.4", nil)
	if err != nil {
		t.Skip(err) // it is Debian's, and not built
	}
	s.program = old.Path
	p, _ := s.proxyOf(s.member)
	s.put(node("greeter", "a"))
	s.Len(s.read(s.client(p), "greeter"), 1)
	s.delete(s.admin, node("greeter", "a"))
	revision := s.state().revision

	config := probe.Config{Endpoints: append(slices.Collect(maps.Keys(members)), p), LeaveNoTrace: true}
	r := s.probe(config)
	s.Equal(probe.Proxy, row(r, p).Role)
	s.Equal([]string{p}, r.Missed())
	s.Contains(row(r, p).Error, "its metrics cannot be read")

	config.LeaveNoTrace, config.Heal = false, true
	r = s.probe(config)
	s.Equal([]string{"ghost /micro/registry/greeter/ ghost " + node("greeter", "a")}, lies(r, p))
	s.Zero(r.Lies())
	s.Empty(s.read(s.client(p), "greeter"))
	s.Equal(revision, s.state().revision)
}

// built is a release of etcd, which is built unless it was before.
func built(s *site, release string) program.Program {
	s.t.Helper()
	p, err := program.Find(s.t.Context(), release, func(what string) { s.t.Log(what) })
	s.NoError(err)
	return p
}

// mixed starts a cluster of a member of each release. The site's own member is the first; members has the version of
// each by its address.
func mixed(t *testing.T, releases ...string) (s *site, members map[string]string) {
	t.Helper()
	s = &site{Assertions: require.New(t), t: t, ctx: t.Context()}
	var peers, names []string
	for i := range releases {
		peers = append(peers, freeAddr(t))
		names = append(names, fmt.Sprintf("m%d=http://%s", i+1, peers[i]))
	}
	token := t.Name() + peers[0]
	members = map[string]string{}
	for i, release := range releases {
		p := built(s, release)
		s.program = p.Path
		peer := "http://" + peers[i]
		addr, _ := s.start("--name", fmt.Sprint("m", i+1), "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
			"--initial-cluster", strings.Join(names, ","), "--initial-cluster-token", token,
			"--listen-client-urls", "http://ADDR", "--advertise-client-urls", "http://ADDR",
			"--data-dir", filepath.Join(t.TempDir(), "m"))
		members[addr] = p.Version
		if s.member == "" {
			s.member = addr
		}
	}
	s.admin = s.client(s.member)
	for addr := range members {
		_, err := s.client(addr).Get(s.ctx, "a")
		s.NoError(err)
	}
	return s, members
}
