//go:build linux

package probe_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"ghostroute/harness/link"
	"ghostroute/harness/probe"
	"ghostroute/harness/record"
	"ghostroute/harness/wait"
)

// Where nobody says who is what, a proxy of a proxy is a proxy, and so is one without an address to advertise; and what
// cannot be reached, or is of another cluster, is a row.
func TestWhoIsWhat(t *testing.T) {
	t.Parallel()
	s, other := start(t), start(t)
	inner := s.proxy()
	outer, _ := s.proxyOf(inner, "--advertise-client-url=")
	registered := s.proxy("--resolver-prefix", "/proxies", "--resolver-ttl", "60")
	foreign := other.proxy()
	nowhere := freeAddr(t)
	stopped, proxy := s.proxyOf(s.member)
	s.NoError(proxy.Freeze(s.ctx))

	r := s.probe(probe.Config{Endpoints: []string{s.member, inner, outer, foreign, nowhere, stopped},
		ResolverPrefix: "/proxies", DialTimeout: 5 * time.Second})
	for addr, role := range map[string]probe.Role{s.member: probe.Member, inner: probe.Proxy, outer: probe.Proxy,
		foreign: probe.Proxy, registered: probe.Proxy, nowhere: probe.Unknown, stopped: probe.Unknown} {
		s.NotNil(row(r, addr), addr)
		s.Equal(role, row(r, addr).Role, addr)
	}
	s.Equal([]string{foreign, nowhere, stopped}, r.Missed())
	s.Contains(row(r, foreign).Error, "it is of cluster")
	s.Contains(row(r, nowhere).Error, "connection refused")
	s.Contains(row(r, stopped).Error, "no connection within 5s")
	s.Equal([]string{inner}, row(r, inner).Names)

	_, err := probe.Run(s.ctx, probe.Config{Endpoints: []string{inner}})
	s.ErrorIs(err, probe.ErrNoTruth, "what a proxy says is no truth")
	r, err = probe.Run(s.ctx, probe.Config{Endpoints: []string{s.member}, Proxies: []string{foreign}})
	s.ErrorIs(err, probe.ErrNoProxy, "nobody who answers is not everybody who is right")
	s.Equal(probe.Proxy, row(r, foreign).Role)
}

// A proxy that reaches no member still answers what it has cached, and that is found.
func TestAProxyThatReachesNobody(t *testing.T) {
	t.Parallel()
	s := start(t)
	relay, err := link.Listen("p→m", link.To("tcp", s.member))
	s.NoError(err)
	t.Cleanup(func() { relay.Close() })
	p, _ := s.proxyOf(relay.Addr())
	s.put(node("greeter", "a"))
	for i := range 100 {
		s.put(node(fmt.Sprint("s", i), "a"))
	}
	s.Len(s.read(s.client(p), "greeter"), 1)
	s.delete(s.admin, node("greeter", "a"))
	s.NoError(relay.Cut())
	r := s.probe(probe.Config{Endpoints: []string{s.member, p}, Timeout: 3 * time.Second, Heal: true})
	s.Equal([]string{"ghost /micro/registry/greeter/ ghost " + node("greeter", "a")}, lies(r, p))
	s.Contains(strings.Join(row(r, p).Notes, " "), "it reaches no member")
	s.Contains(r.Entries[0].Help, "restart "+p)
	s.Zero(row(r, p).Sent)
}

// Where neither a look is free nor metrics are the proxy's own, as behind a balancer, --leave-no-trace asks nothing.
func TestMetricsOfAnother(t *testing.T) {
	t.Parallel()
	s := start(t)
	p1, p2 := s.proxy(), s.proxy()
	s.put(node("a", "1"))
	s.read(s.client(p1), "a")
	s.read(s.client(p2), "a")
	var turn atomic.Int64 // gRPC's connection is the first: p1
	vip, err := link.Listen("vip", func(ctx context.Context) (net.Conn, error) {
		to := p2
		if turn.Add(1) == 1 {
			to = p1
		}
		return new(net.Dialer).DialContext(ctx, "tcp", to)
	})
	s.NoError(err)
	t.Cleanup(func() { vip.Close() })
	before := s.state(p1, p2)
	r := s.probe(probe.Config{Members: []string{s.member}, Proxies: []string{vip.Addr()}, LeaveNoTrace: true})
	s.Contains(strings.Join(row(r, vip.Addr()).Notes, " "), "its metrics do not count its reads")
	s.Zero(row(r, vip.Addr()).Answers)
	s.Equal([]string{vip.Addr()}, r.Missed())
	s.Equal(before, s.state(p1, p2))
}

// Behind one address each proxy is met by a connection of its own, and it is said how many it took.
func TestSeveralBehindOneAddress(t *testing.T) {
	t.Parallel()
	s := start(t)
	p1, p2 := s.proxy(), s.proxy()
	bare1, bare2 := s.proxy("--advertise-client-url="), s.proxy("--advertise-client-url=")
	vip := func(to ...string) string {
		var turn atomic.Int64
		l, err := link.Listen("vip", func(ctx context.Context) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", to[int(turn.Add(1)-1)%len(to)])
		})
		s.NoError(err)
		t.Cleanup(func() { l.Close() })
		return l.Addr()
	}
	s.put(node("a", "1"))
	s.put(node("a", "2"))
	for _, p := range []string{p2, bare2} {
		s.read(s.client(p), "a")
	}
	s.delete(s.admin, node("a", "1"))
	named, bare := vip(p1, p2), vip(bare1, bare2)
	r := s.probe(probe.Config{Endpoints: []string{s.member, named, bare}, Connections: 4})
	var lying []string
	for _, e := range r.Entries {
		if e.Verdict == probe.Ghost {
			lying = append(lying, strings.Split(e.Endpoint, "#")[0])
		}
	}
	s.Contains(lying, named)
	s.Contains(lying, bare)
	notes := strings.Join(row(r, named).Notes, " ")
	s.Regexp("4 connections met 2 proxies, "+p1+" and "+p2+"|4 connections met 2 proxies, "+p2+" and "+p1, notes)
	s.Contains(notes, "one that none of them went to was not asked")
	s.Contains(strings.Join(row(r, bare).Notes, " "), "which of them met the same proxy cannot be told")
}

// A proxy may speak TLS to its clients, and want to know who they are, where its member does not.
func TestTLSOnOneSide(t *testing.T) {
	t.Parallel()
	s := start(t)
	cert, key, pool := certificate(t)
	p, _ := s.start("grpc-proxy", "start", "--endpoints", s.member, "--listen-addr", "ADDR",
		"--advertise-client-url", "ADDR", "--data-dir", t.TempDir(), "--cert-file", cert, "--key-file", key,
		"--trusted-ca-file", cert)
	pair, err := tls.LoadX509KeyPair(cert, key)
	s.NoError(err)
	secure := &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	https := &http.Client{Transport: &http.Transport{TLSClientConfig: secure.Clone(), DisableKeepAlives: true}}
	s.NoError(wait.Until(s.ctx, p+" does not serve", func() bool {
		resp, err := https.Get("https://" + p + "/proxy/metrics")
		if err == nil {
			resp.Body.Close()
		}
		return err == nil
	}))
	s.put(node("greeter", "a"))
	for _, to := range []string{"https://" + p, "http://" + s.member} {
		relay, err := record.Listen(s.ctx, "127.0.0.1:0", to, secure)
		s.NoError(err)
		t.Cleanup(relay.Close)
		s.Len(s.read(s.client(relay.Addr()), "greeter"), 1)
		s.Len(relay.Reads(), 1)
	}
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{"https://" + p}, TLS: secure.Clone(), Logger: zap.NewNop()})
	s.NoError(err)
	t.Cleanup(func() { c.Close() })
	s.Len(s.read(c, "greeter"), 1)
	s.delete(s.admin, node("greeter", "a"))

	r := s.probe(probe.Config{Endpoints: []string{"http://" + s.member, "https://" + p}, TLS: secure})
	s.Equal([]string{"ghost /micro/registry/greeter/ ghost " + node("greeter", "a")}, lies(r, "https://"+p))
	s.Equal(int64(1), *row(r, "https://"+p).Before, "its metrics were read")
	r, err = probe.Run(s.ctx, probe.Config{Members: []string{"http://" + s.member}, Proxies: []string{"https://" + p},
		TLS: &tls.Config{MinVersion: tls.VersionTLS12}, DialTimeout: 10 * time.Second})
	s.ErrorIs(err, probe.ErrNoProxy)
	s.Contains(row(r, "https://"+p).Error, "x509")
}

// An entry costs a read at its proxy, and one more on a member where it lies.
func TestReadsAnEntry(t *testing.T) {
	t.Parallel()
	s := start(t)
	const services, per = 20, 5
	relayed := func(to string) *record.Relay {
		r, err := record.Listen(s.ctx, "127.0.0.1:0", to, nil)
		s.NoError(err)
		t.Cleanup(r.Close)
		return r
	}
	for i := range services {
		for j := range per {
			s.put(node(fmt.Sprint("s", i), fmt.Sprint(j)))
		}
	}
	member := relayed(s.member)
	config := probe.Config{Members: []string{member.Addr()}}
	var proxies []*record.Relay
	for range 3 {
		p := s.proxy()
		c := s.client(p)
		for i := range services {
			s.read(c, fmt.Sprint("s", i))
		}
		proxies = append(proxies, relayed(p))
		config.Proxies = append(config.Proxies, proxies[len(proxies)-1].Addr())
	}
	s.delete(s.admin, node("s0", "0"))
	r := s.probe(config)
	const entries = services + 1 // and the list of all
	s.Equal(3*entries, len(r.Entries))
	s.Equal(3, r.Lies())
	for _, p := range proxies {
		s.Equal(entries, p.Calls()["Range"]-1, "one more is refused for want of a key")
	}
	// A page of truth, whether revision 1 is compacted, whether a look is free, who it is; and what the three lies were.
	s.LessOrEqual(member.Calls()["Range"], 4+1)
}
