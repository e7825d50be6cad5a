//go:build real

package dropin_test

import (
	"context"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	micro "github.com/micro/go-micro/v2/registry"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness/dropin"
	"ghostroute/harness/history"
	"ghostroute/harness/port"
	"ghostroute/harness/process"
	"ghostroute/harness/program"
	"ghostroute/harness/registry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var build = sync.OnceValues(func() (program.Program, error) {
	return dropin.Build(context.Background(), filepath.Join("..", ".."), nil)
})

// stand is one etcd of the release, and what stands before it, all with TLS.
type stand struct {
	*testing.T
	ctx     context.Context // ends after five minutes
	dir     string
	certs   certs
	dropIn  program.Program
	release program.Program
	etcd    string // the member's address
	peer    string // and for members that it does not have
	member  *clientv3.Client
	server  *process.Process
}

func start(t *testing.T) *stand {
	t.Helper()
	s := &stand{T: t, dir: t.TempDir(), certs: newCerts(t)}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	t.Cleanup(cancel)
	s.ctx = ctx
	var err error
	s.dropIn, err = build()
	require.NoError(t, err)
	s.release, err = program.Find(ctx, "3.7.3", nil)
	require.NoError(t, err)
	s.etcd, s.peer = s.port().Addr(), s.port().Addr()
	s.member = s.client(s.etcd)
	s.boot()
	return s
}

// boot starts the member, or starts it again.
func (s *stand) boot() {
	s.Helper()
	s.server = s.run(s.release, "m1", s.etcd, "--name", "m1", "--data-dir", filepath.Join(s.dir, "m1"),
		"--listen-client-urls", "https://"+s.etcd, "--advertise-client-urls", "https://"+s.etcd,
		"--listen-peer-urls", "http://"+s.peer, "--initial-advertise-peer-urls", "http://"+s.peer,
		"--initial-cluster", "m1=http://"+s.peer, "--unsafe-no-fsync", "--bcrypt-cost", "4",
		"--cert-file", s.certs.cert, "--key-file", s.certs.key, "--trusted-ca-file", s.certs.ca, "--client-cert-auth")
	require.Eventually(s, func() bool {
		ctx, cancel := context.WithTimeout(s.ctx, time.Second)
		defer cancel()
		_, err := s.member.Get(ctx, "none")
		return err == nil
	}, time.Minute, 10*time.Millisecond)
}

func (s *stand) port() *port.Port {
	s.Helper()
	p, err := port.ReserveForProcess()
	require.NoError(s, err)
	s.Cleanup(func() { require.NoError(s, p.Close()) })
	return p
}

// run starts a process that is to listen at an address; it ends with the test.
func (s *stand) run(p program.Program, name, listens string, args ...string) *process.Process {
	s.Helper()
	proc, err := p.Start(name, s.dir, filepath.Join(s.dir, name+".log"), args...)
	require.NoError(s, err)
	s.Cleanup(proc.Kill)
	require.NoError(s, proc.Listens(s.ctx, listens))
	return proc
}

func (s *stand) client(addr string) *clientv3.Client {
	s.Helper()
	return s.clientOf("", addr)
}

// clientOf is a client of a user, whose password is the same; "" is nobody.
func (s *stand) clientOf(user, addr string) *clientv3.Client {
	s.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{addr}, TLS: s.certs.client, Logger: zap.NewNop(),
		Username: user, Password: user})
	require.NoError(s, err)
	s.Cleanup(func() { _ = c.Close() })
	return c
}

// proxy starts a grpc-proxy with TLS on both sides.
func (s *stand) proxy(p program.Program, name, addr string, flags ...string) *process.Process {
	s.Helper()
	return s.proxyOf(s.etcd, p, name, addr, flags...)
}

// proxyOf is proxy where the way to the member is another.
func (s *stand) proxyOf(member string, p program.Program, name, addr string, flags ...string) *process.Process {
	s.Helper()
	args := []string{"grpc-proxy", "start", "--endpoints", member, "--listen-addr", addr, "--advertise-client-url", addr,
		"--data-dir", filepath.Join(s.dir, name),
		"--cert", s.certs.cert, "--key", s.certs.key, "--cacert", s.certs.ca,
		"--cert-file", s.certs.cert, "--key-file", s.certs.key, "--trusted-ca-file", s.certs.ca}
	return s.run(p, name, addr, append(args, flags...)...)
}

var sample = regexp.MustCompile(`(?m)^etcd_grpc_proxy_kv_cache_(\w+)(?:\{\w+="([^"]*)"\})? (\S+)$`)

// metrics are what a drop-in's proxy tells of its cache, by name and label.
func (s *stand) metrics(addr string) map[string]float64 {
	s.Helper()
	web := http.Client{Transport: &http.Transport{TLSClientConfig: s.certs.client.Clone(), DisableKeepAlives: true}}
	ask, err := http.NewRequestWithContext(s.ctx, http.MethodGet, "https://"+addr+"/proxy/metrics", nil)
	require.NoError(s, err)
	resp, err := web.Do(ask)
	require.NoError(s, err)
	defer resp.Body.Close()
	all, err := io.ReadAll(resp.Body)
	require.NoError(s, err)
	told := map[string]float64{}
	for _, m := range sample.FindAllStringSubmatch(string(all), -1) {
		name := m[1]
		if m[2] != "" {
			name += " " + m[2]
		}
		if told[name], err = strconv.ParseFloat(m[3], 64); err != nil {
			require.NoError(s, err, m[0])
		}
	}
	return told
}

// micro is go-micro's registry over an address, as go-micro ships it: it reads serializably.
func (s *stand) micro(name, addr string) *registry.Registry {
	s.Helper()
	r, err := registry.New(s.ctx, registry.Config{Client: name, Addresses: []string{addr}, TLS: s.certs.client,
		History: history.New()})
	require.NoError(s, err)
	s.Cleanup(func() { _ = r.Close() })
	return r
}

const (
	service = "hello"
	keys    = "/micro/registry/" + service + "/"
)

func instance(id string) *micro.Service {
	return &micro.Service{Name: service, Version: "v1", Nodes: []*micro.Node{{Id: id, Address: "127.0.0.1:1"}}}
}

func (s *stand) register(r *registry.Registry, ids ...string) {
	s.Helper()
	for _, id := range ids {
		require.NoError(s, r.Register(instance(id), micro.RegisterTTL(time.Hour)))
	}
}

// told is which instances a reader is told of.
func (s *stand) told(r *registry.Registry) []string {
	s.Helper()
	ids, err := s.tells(r)
	require.NoError(s, err)
	return ids
}

func (s *stand) tells(r *registry.Registry) (ids []string, err error) {
	all, err := r.GetService(service)
	for _, one := range all {
		for _, n := range one.Nodes {
			ids = append(ids, n.Id)
		}
	}
	slices.Sort(ids)
	return ids, err
}

// keeps has a reader read until its proxy has answered from what it keeps.
func (s *stand) keeps(r *registry.Registry, addr string, want ...string) {
	s.Helper()
	require.Equal(s, want, s.told(r))
	for was := s.metrics(addr)["hits_total"]; s.metrics(addr)["hits_total"] <= was; {
		require.Equal(s, want, s.told(r))
		require.NoError(s, s.ctx.Err(), s.metrics(addr))
	}
}
