//go:build linux

package probe_test

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"ghostroute/harness/port"
	"ghostroute/harness/probe"
	"ghostroute/harness/process"
	"ghostroute/harness/wait"
)

// anEtcd names a program to be etcd in place of that: another version.
const anEtcd = "GHOSTROUTE_PROBE_TEST_ETCD"

// asEtcd has this test's binary be etcd: members and proxies are processes of their own, of the etcd in go.mod.
const asEtcd = "GHOSTROUTE_PROBE_TEST_IS_ETCD"

func TestMain(m *testing.M) {
	if os.Getenv(asEtcd) != "" {
		etcdmain.Main(os.Args)
		return
	}
	goleak.VerifyTestMain(m)
}

// site is one member, and proxies before it, as processes.
type site struct {
	*require.Assertions
	t      *testing.T
	ctx    context.Context // ends after a minute
	member string          // its address
	admin  *clientv3.Client

	flags   []string // of the member
	process *process.Process
	program string // what is started from now on; "" is anEtcd's, or this test's binary
}

// start starts a member, with these flags beside the usual.
func start(t *testing.T, flags ...string) *site {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	s := &site{Assertions: require.New(t), t: t, ctx: ctx}
	s.flags = append([]string{"--name", "m",
		"--listen-peer-urls", "http://127.0.0.1:0", "--heartbeat-interval", "20", "--election-timeout", "200",
		"--initial-cluster-token", t.Name() + freeAddr(t),
		"--listen-client-urls", "http://ADDR", "--advertise-client-urls", "http://ADDR"}, flags...)
	s.member, s.process = s.start(append(s.flags, "--data-dir", filepath.Join(t.TempDir(), "m"))...)
	s.admin = s.client(s.member)
	s.answers()
	return s
}

// anew has the member be another one: of the same cluster by its ID, with nothing in it, at the same address. It
// returns when the admin has read from it: a read is tried again where a connection has ended, a write is not.
func (s *site) anew() {
	s.t.Helper()
	s.process.Kill()
	flags := strings.Split(strings.ReplaceAll(strings.Join(s.flags, " "), "ADDR", s.member), " ")
	_, s.process = s.start(append(flags, "--data-dir", filepath.Join(s.t.TempDir(), "anew"))...)
	s.answers()
}

// answers waits until the member answers the admin.
func (s *site) answers() {
	s.t.Helper()
	_, err := s.admin.Get(s.ctx, "a")
	s.NoError(err)
}

// start starts a process that listens on ADDR, and ends with the test.
func (s *site) start(args ...string) (addr string, p *process.Process) {
	s.t.Helper()
	args = slices.Clone(args)
	addr = freeAddr(s.t)
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "ADDR", addr)
	}
	program := cmp.Or(s.program, os.Getenv(anEtcd))
	if program == "" {
		var err error
		program, err = os.Executable()
		s.NoError(err)
	}
	dir := s.t.TempDir()
	log := filepath.Join(dir, "log")
	p, err := process.Start(process.Config{Name: args[0], Path: program, Args: args,
		Env: append(os.Environ(), asEtcd+"=1"), Log: log, Run: dir})
	s.NoError(err)
	s.t.Cleanup(func() {
		p.Kill()
		if s.t.Failed() {
			text, _ := os.ReadFile(log)
			s.t.Logf("%s:\n%s", strings.Join(args, " "), text[max(0, len(text)-2000):])
		}
	})
	return addr, p
}

// freeAddr is an address that nothing listens on and that nobody else is given.
func freeAddr(t *testing.T) string {
	t.Helper()
	p, err := port.ReserveForProcess()
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.Close() })
	return p.Addr()
}

// proxy starts a grpc-proxy before the member and waits until it serves.
func (s *site) proxy(flags ...string) (addr string) {
	s.t.Helper()
	addr, _ = s.proxyOf(s.member, flags...)
	return addr
}

func (s *site) proxyOf(upstream string, flags ...string) (string, *process.Process) {
	s.t.Helper()
	addr, p := s.start(append([]string{"grpc-proxy", "start", "--endpoints", upstream, "--listen-addr", "ADDR",
		"--advertise-client-url", "ADDR", "--data-dir", filepath.Join(s.t.TempDir(), "p")}, flags...)...)
	s.NoError(wait.Until(s.ctx, addr+" does not serve", func() bool {
		resp, err := http.Get("http://" + addr + "/proxy/metrics")
		if err == nil {
			resp.Body.Close()
		}
		return err == nil // 3.4 has no such page
	}))
	return addr, p
}

// client is a client of one endpoint, as nobody.
func (s *site) client(addr string) *clientv3.Client { return s.clientAs(addr, "") }

func (s *site) clientAs(addr, user string) *clientv3.Client {
	s.t.Helper()
	cfg := clientv3.Config{Endpoints: []string{addr}, Logger: zap.NewNop(), DialTimeout: 5 * time.Second, Username: user,
		Password: user}
	c, err := clientv3.New(cfg)
	s.NoError(err)
	s.t.Cleanup(func() { c.Close() })
	return c
}

// cached is how many answers a proxy has.
func (s *site) cached(addr string) int64 {
	s.t.Helper()
	resp, err := http.Get("http://" + addr + "/proxy/metrics")
	s.NoError(err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	s.NoError(err)
	found := regexp.MustCompile(`(?m)^etcd_grpc_proxy_cache_keys_total (.*)$`).FindSubmatch(text)
	s.NotNil(found)
	n, err := strconv.ParseFloat(string(found[1]), 64)
	s.NoError(err)
	return int64(n)
}

// state is all that a probe must not change: truth's revision, leases with the time they were granted for, and how many
// answers each proxy has.
type state struct {
	revision int64
	leases   []clientv3.LeaseID
	cached   []int64
}

func (s *site) state(proxies ...string) state {
	s.t.Helper()
	var st state
	resp, err := s.admin.Get(s.ctx, "a", clientv3.WithSerializable())
	s.NoError(err)
	st.revision = resp.Header.Revision
	leases, err := s.admin.Leases(s.ctx)
	s.NoError(err)
	for _, l := range leases.Leases {
		st.leases = append(st.leases, l.ID)
	}
	for _, p := range proxies {
		st.cached = append(st.cached, s.cached(p))
	}
	return st
}

// read reads as go-micro's GetService does, through a proxy.
func (s *site) read(via *clientv3.Client, service string) (keys []string) {
	s.t.Helper()
	return s.get(via, "/micro/registry/"+service+"/", clientv3.WithPrefix())
}

func (s *site) get(via *clientv3.Client, key string, opts ...clientv3.OpOption) (keys []string) {
	s.t.Helper()
	resp, err := via.Get(s.ctx, key, append(opts, clientv3.WithSerializable())...)
	s.NoError(err)
	for _, kv := range resp.Kvs {
		keys = append(keys, string(kv.Key))
	}
	return keys
}

// node is the key of an instance.
func node(service, id string) string {
	return fmt.Sprintf("/micro/registry/%s/%s-%s", service, service, id)
}

func (s *site) put(key string) {
	s.t.Helper()
	_, err := s.admin.Put(s.ctx, key, `{"name":"x"}`)
	s.NoError(err)
}

func (s *site) delete(via *clientv3.Client, key string) {
	s.t.Helper()
	_, err := via.Delete(s.ctx, key)
	s.NoError(err)
}

// authenticate turns authentication on, with root and a user who may read the registry. From now on the admin is root.
func (s *site) authenticate(reader string) {
	s.t.Helper()
	for _, user := range []string{"root", reader} {
		_, err := s.admin.UserAdd(s.ctx, user, user)
		s.NoError(err)
		_, err = s.admin.RoleAdd(s.ctx, user)
		s.NoError(err)
		_, err = s.admin.UserGrantRole(s.ctx, user, user)
		s.NoError(err)
	}
	_, err := s.admin.RoleGrantPermission(s.ctx, reader, "/micro/", "/micro0", clientv3.PermissionType(clientv3.PermRead))
	s.NoError(err)
	_, err = s.admin.AuthEnable(s.ctx)
	s.NoError(err)
	s.admin = s.clientAs(s.member, "root")
}

// probe runs a probe that must not fail.
func (s *site) probe(c probe.Config) *probe.Report {
	s.t.Helper()
	c.Timeout, c.DialTimeout = cmp.Or(c.Timeout, 10*time.Second), cmp.Or(c.DialTimeout, 10*time.Second)
	r, err := probe.Run(s.ctx, c)
	s.NoError(err)
	return r
}

// lie is what is said of an answer that lies, in a line.
func lie(e *probe.Entry) string {
	var keys []string
	for _, d := range e.Keys {
		keys = append(keys, string(d.Is)+" "+string(d.Key))
	}
	return strings.Join(append([]string{string(e.Verdict), string(e.Key)}, keys...), " ")
}

// lies are those of a report, of one endpoint.
func lies(r *probe.Report, endpoint string) (all []string) {
	for _, e := range r.Entries {
		if e.Endpoint == endpoint && e.Verdict != probe.Fresh {
			all = append(all, lie(e))
		}
	}
	return all
}

func row(r *probe.Report, endpoint string) *probe.Endpoint {
	for _, e := range r.Endpoints {
		if e.Endpoint == endpoint {
			return e
		}
	}
	return nil
}

// certificate is a certificate of 127.0.0.1 that signs itself, in files.
func certificate(t *testing.T) (cert, key string, pool *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	require.NoError(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	cert, key = filepath.Join(t.TempDir(), "cert"), filepath.Join(t.TempDir(), "key")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	require.NoError(t, os.WriteFile(cert, text, 0o600))
	require.NoError(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	pool = x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(text))
	return cert, key, pool
}
