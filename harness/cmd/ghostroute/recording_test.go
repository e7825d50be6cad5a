//go:build real

package main_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"ghostroute/harness/port"
	etcds "ghostroute/harness/program"
	"ghostroute/harness/wait"
)

var update = flag.Bool("update", false, "write fixtures/probe.txt anew")

const (
	recorded = "../../../fixtures/probe.txt"
	prefix   = "/micro/registry/greeter/"
)

// recording is what is written down of an incident and its probe.
type recording struct {
	*require.Assertions
	t       *testing.T
	ctx     context.Context
	etcd    etcds.Program
	text    strings.Builder
	names   []string          // member, p1, p2, p3
	addrs   map[string]string // by name
	clients map[string]*clientv3.Client
}

// A recording for whoever is on call: an incident made by etcd's own client on etcd's own processes, found and healed
// by somebody who has the command and the endpoints. Etcd is after it what it was before, and so is each cache but for
// the ghost.
func TestARecordedProbe(t *testing.T) {
	t.Parallel()
	r := record(t)
	r.line("# An incident, and a probe of it. Written by")
	r.line("#     go test -tags real ./harness/cmd/ghostroute -run TestARecordedProbe -update")
	r.line("# A member and three proxies, a process of %s each. Addresses and the cluster's ID are others.", r.etcd)
	for _, name := range r.names {
		r.line("# %-6s  %s", name, r.addrs[name])
	}
	r.line("\n# Two instances register through p1, and what reads through p1 and p2 is told of both.\n")
	r.put("p1", "greeter-v1-a")
	r.put("p1", "greeter-v1-b")
	r.Len(r.get("p1"), 2)
	r.Len(r.get("p2"), 2)
	r.line("\n# One deregisters through p1. p2 is not told. p3 is asked for the first time.\n")
	r.del("p1", "greeter-v1-a")
	r.Len(r.get("member"), 1)
	r.Len(r.get("p1"), 1)
	r.Len(r.get("p2"), 2)
	r.Len(r.get("p3"), 1)
	r.line("\n# The telephone.\n")
	before := r.state()

	var all []string
	for _, name := range r.names {
		all = append(all, r.addrs[name])
	}
	probe := []string{"probe", "--endpoints", strings.Join(all, ","), "--leave-no-trace"}
	said := r.run(1, probe...)
	r.Regexp(`GHOST +`+r.addrs["p2"], said)
	r.NotRegexp(`GHOST +(`+r.addrs["p1"]+`|`+r.addrs["p3"]+`)`, said)
	r.line("\n# What did looking change? Nothing.\n")
	r.Equal(before, r.state())

	r.line("")
	r.run(0, append(probe, "--heal")...)
	r.line("\n# p2 has forgotten the ghost, and is told the truth when it is asked again. Nothing was written.\n")
	after := r.state()
	r.Equal(before.revision, after.revision)
	r.Equal(before.leases, after.leases)
	r.Equal(strings.Replace(before.cached, "p2 1", "p2 0", 1), after.cached)
	r.Len(r.get("p2"), 1)
	r.line("")
	r.run(0, probe...)

	text := r.normal()
	if *update {
		r.NoError(os.WriteFile(recorded, []byte(text), 0o644))
		return
	}
	was, err := os.ReadFile(recorded)
	r.NoError(err)
	r.Equal(string(was), text, "the recording is old, or the probe has changed: its first lines say how it is written")
}

// record starts a member and three proxies, which end with the test.
func record(t *testing.T) *recording {
	t.Helper()
	r := &recording{Assertions: require.New(t), t: t, ctx: t.Context(), names: []string{"member", "p1", "p2", "p3"},
		addrs: map[string]string{}, clients: map[string]*clientv3.Client{}}
	var err error
	r.etcd, err = etcds.Find(r.ctx, "3.7", nil)
	r.NoError(err)
	var cancel context.CancelFunc
	r.ctx, cancel = context.WithTimeout(r.ctx, time.Minute)
	t.Cleanup(cancel)
	for _, name := range r.names {
		for len(r.addrs[name]) != len("127.0.0.1:12345") { // so that every table is as wide
			reserved, err := port.ReserveForProcess()
			r.NoError(err)
			t.Cleanup(func() { _ = reserved.Close() })
			r.addrs[name] = reserved.Addr()
		}
		dir := t.TempDir()
		args := []string{"grpc-proxy", "start", "--endpoints", r.addrs["member"], "--listen-addr", r.addrs[name],
			"--advertise-client-url", r.addrs[name], "--data-dir", filepath.Join(dir, "data")}
		if name == "member" {
			url := "http://" + r.addrs[name]
			args = []string{"--name", "m", "--data-dir", filepath.Join(dir, "data"), "--listen-client-urls", url,
				"--advertise-client-urls", url, "--listen-peer-urls", "http://127.0.0.1:0", "--initial-cluster-token", dir}
		}
		process, err := r.etcd.Start(name, dir, filepath.Join(dir, "log"), args...)
		r.NoError(err)
		t.Cleanup(process.Kill)
		r.NoError(process.Listens(r.ctx, r.addrs[name]))
		c, err := clientv3.New(clientv3.Config{Endpoints: []string{r.addrs[name]}, Logger: zap.NewNop()})
		r.NoError(err)
		t.Cleanup(func() { c.Close() })
		r.clients[name] = c
	}
	r.NoError(wait.Until(r.ctx, "the member does not serve", func() bool {
		_, err := r.clients["member"].Get(r.ctx, "a")
		return err == nil
	}))
	return r
}

func (r *recording) line(format string, args ...any) { fmt.Fprintf(&r.text, format+"\n", args...) }

// put registers an instance, with a lease.
func (r *recording) put(at, instance string) {
	r.t.Helper()
	lease, err := r.clients[at].Grant(r.ctx, 600)
	r.NoError(err)
	resp, err := r.clients[at].Put(r.ctx, prefix+instance, `{"name":"greeter"}`, clientv3.WithLease(lease.ID))
	r.NoError(err)
	r.line("%-6s  put %s  with a lease: revision %d", at, prefix+instance, resp.Header.Revision)
}

func (r *recording) del(at, instance string) {
	r.t.Helper()
	resp, err := r.clients[at].Delete(r.ctx, prefix+instance)
	r.NoError(err)
	r.line("%-6s  del %s: revision %d", at, prefix+instance, resp.Header.Revision)
}

// get reads as go-micro's GetService does.
func (r *recording) get(at string) (instances []string) {
	r.t.Helper()
	resp, err := r.clients[at].Get(r.ctx, prefix, clientv3.WithPrefix(), clientv3.WithSerializable())
	r.NoError(err)
	for _, kv := range resp.Kvs {
		instances = append(instances, strings.TrimPrefix(string(kv.Key), prefix))
	}
	r.line("%-6s  get %s --prefix --consistency=s: %s, as of revision %d", at, prefix, strings.Join(instances, " "),
		resp.Header.Revision)
	return instances
}

// run runs the command, and writes down what one sees of it.
func (r *recording) run(code int, args ...string) string {
	r.t.Helper()
	var seen bytes.Buffer // what goes to a terminal, in its order
	cmd, end := program(r.t, args...)
	cmd.Stdout, cmd.Stderr = &seen, &seen
	got := end(cmd.Run())
	r.Equal(code, got.code, seen.String())
	r.line("$ ghostroute %s\n%s# exit code %d", strings.Join(args, " "), seen.String(), got.code)
	return seen.String()
}

// state is what a probe must leave as it was.
type state struct {
	revision int64
	leases   int
	cached   string // how many answers each proxy has cached, by its metrics
}

var cachedKeys = regexp.MustCompile(`(?m)^etcd_grpc_proxy_cache_keys_total (.*)$`)

// state looks without leaving anything behind, and writes down what it sees.
func (r *recording) state() (s state) {
	r.t.Helper()
	resp, err := r.clients["member"].Get(r.ctx, "a", clientv3.WithSerializable())
	r.NoError(err)
	leases, err := r.clients["member"].Leases(r.ctx)
	r.NoError(err)
	var cached []string
	for _, name := range r.names[1:] {
		page, err := http.Get("http://" + r.addrs[name] + "/proxy/metrics")
		r.NoError(err)
		text, err := io.ReadAll(page.Body)
		r.NoError(err)
		r.NoError(page.Body.Close())
		found := cachedKeys.FindSubmatch(text)
		r.NotNil(found)
		cached = append(cached, name+" "+string(found[1]))
	}
	s = state{resp.Header.Revision, len(leases.Leases), strings.Join(cached, ", ")}
	r.line("etcd is at revision %d and has %d leases; answers cached: %s", s.revision, s.leases, s.cached)
	return s
}

// normal is the recording with the addresses and the cluster's ID that it is published with.
func (r *recording) normal() string {
	var with []string
	for i, name := range r.names {
		with = append(with, r.addrs[name], fmt.Sprintf("10.0.0.1%d:23790", i))
	}
	text := strings.NewReplacer(with...).Replace(r.text.String())
	return regexp.MustCompile(`\bcluster [0-9a-f]{10,16}\b`).ReplaceAllString(text, "cluster 1122334455667788")
}
