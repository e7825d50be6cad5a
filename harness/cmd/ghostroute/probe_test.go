package main_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness"
	"ghostroute/harness/history"
	"ghostroute/harness/probe"
)

func TestWhatAProbeIsNotAsked(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "form")
	require.NoError(t, os.WriteFile(file, []byte("put k v\n"), 0o644))
	for _, c := range []struct{ args, says string }{
		{"probe p1:23790", `probe takes no argument, and was given "p1:23790"`},
		{"probe --form gomicro", `there is no form "gomicro": did you mean "go-micro"?`},
		{"probe --form-file nowhere", "open nowhere: no such file"},
		{"probe --form-file " + file, `line 1: "put k v" is no read`},
		{"probe -w yaml", "it may be table, json or simple"},
		{"probe --user a:b --password c", "--password is the password of a --user without one"},
		{"probe --auth-jwt-token x --user a:b", "two identities: give one"},
		{"probe --cacert nowhere", "--cacert: open nowhere: no such file"},
		{"probe --cert x", "--cert and --key go together"},
		{"probe --command-timeout 5", `invalid argument "5" for "--command-timeout" flag`},
		{"probe --watch -1s", "--watch is -1s: it may be 10s"},
		{"record", "record wants --to"},
		{"check-client", "check-client takes one file, and was given 0"},
		{"check-client " + file, `line 1: "put k v" is no read`},
	} {
		t.Run(c.args, func(t *testing.T) {
			t.Parallel()
			got := run(t, strings.Fields(c.args)...)
			require.Equal(t, 128, got.code, "%s%s", got.out, got.errs)
			require.Contains(t, got.errs, c.says)
			require.Equal(t, 1, strings.Count(got.errs, "\n"), "one line: %s", got.errs)
			require.Empty(t, got.out)
		})
	}
	cmd, end := program(t, "probe", "--endpoints", "127.0.0.1:1")
	cmd.Env = append(cmd.Env, "ETCDCTL_ENDPOINTS=127.0.0.1:2")
	got := end(cmd.Run())
	require.Equal(t, 128, got.code)
	require.Contains(t, got.errs, "ETCDCTL_ENDPOINTS and --endpoints are both set")
}

// Whoever has only this command and the endpoints of an incident finds the proxies that lie, and heals them.
func TestAnIncidentIsProbed(t *testing.T) {
	t.Parallel()
	ctx, cancel := harness.Context(t)
	defer cancel()
	b := harness.Start(t, harness.Topology{})
	require.NoError(t, b.Prime(ctx))
	var all, proxies []string
	for _, m := range b.Cluster.Members {
		all = append(all, m.Endpoint())
	}
	for _, name := range []string{"p1", "p2", "p3"} {
		proxies = append(proxies, b.Proxy(name).Addr())
	}
	all = append(all, proxies...)
	endpoints := strings.Join(all, ",")

	got := run(t, "probe", "--endpoints", endpoints, "-w", "json")
	require.Zero(t, got.code, got.errs)
	require.NoError(t, b.Leave(ctx, "v1-a"))
	revision := revisionOf(t, ctx, b)

	saved := filepath.Join(t.TempDir(), "history.jsonl")
	cmd, end := program(t, "probe", "-w", "json", "--save", saved)
	cmd.Env = append(cmd.Env, "ETCDCTL_ENDPOINTS="+endpoints)
	got = end(cmd.Run())
	require.Equal(t, 1, got.code, got.errs)
	var r probe.Report
	require.NoError(t, json.Unmarshal([]byte(got.out), &r))
	lying := map[string][]string{}
	for _, e := range r.Entries {
		if e.Verdict != probe.Fresh {
			require.Equal(t, probe.Ghost, e.Verdict)
			require.Equal(t, []probe.Difference{{Key: probe.Key(b.ServiceKey("v1-a")), Is: probe.Ghost,
				Answered: e.Keys[0].Answered}}, e.Keys)
			lying[e.Endpoint] = append(lying[e.Endpoint], string(e.Key))
		}
	}
	require.NotContains(t, lying, proxies[0])
	require.Contains(t, lying[proxies[1]], b.ServicePrefix())
	require.Contains(t, lying[proxies[2]], b.ServicePrefix())
	answer, _ := b.Look(ctx, "g2")
	require.Contains(t, ids(answer), "v1-a", "a probe heals nothing")
	require.Zero(t, run(t, "draw", saved).code)
	got = run(t, "judge", saved)
	require.Equal(t, 2, got.code, "a look shows no before")
	require.Contains(t, got.out, "unknown: ")

	got = run(t, "probe", "--endpoints", endpoints+",127.0.0.1:1", "--heal")
	require.Equal(t, 2, got.code, "all are healed, and one was not reached")
	require.Contains(t, got.errs, "compares the version of "+b.ServicePrefix()+" and does nothing")
	require.Contains(t, got.out, "connection refused")
	require.Contains(t, got.out, "GHOST healed")
	answer, _ = b.Look(ctx, "g2")
	require.NotContains(t, ids(answer), "v1-a")
	require.Equal(t, revision, revisionOf(t, ctx, b))
	require.Zero(t, run(t, "probe", "--members", all[0], "--proxies", strings.Join(proxies, ","), "-w", "simple").code)

	got = run(t, "probe", "--endpoints", strings.Join(proxies, ","))
	require.Equal(t, 2, got.code)
	require.Contains(t, got.errs, "no member was read")
}

func ids(r history.Resolve) (names []string) {
	for _, e := range r.Endpoints {
		names = append(names, e.ID)
	}
	return names
}

func revisionOf(t *testing.T, ctx context.Context, b *harness.Bench) int64 {
	t.Helper()
	r, err := b.Cluster.Truth(ctx, "a")
	require.NoError(t, err)
	return r.Header.Revision
}

// What a client reads through a relay is listed, by what a proxy does with it, and is a form that a probe asks.
func TestAClientIsChecked(t *testing.T) {
	t.Parallel()
	ctx, cancel := harness.Context(t)
	defer cancel()
	b := harness.Start(t, harness.Topology{Members: 1, Proxies: 1})
	file := filepath.Join(t.TempDir(), "reads.txt")
	cmd, end := program(t, "record", "--to", b.Proxy("p1").Addr(), "--out", file)
	cmd.Stdout = nil
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line := make([]byte, 200)
	n, err := out.Read(line)
	require.NoError(t, err)
	addr, _, relays := strings.Cut(string(line[:n]), " relays to ")
	require.True(t, relays, string(line[:n]))

	c, err := clientv3.New(clientv3.Config{Endpoints: []string{addr}, DialTimeout: 5 * time.Second})
	require.NoError(t, err)
	defer c.Close()
	_, err = c.Get(ctx, b.ServicePrefix(), clientv3.WithPrefix(), clientv3.WithSerializable())
	require.NoError(t, err)
	_, err = c.Get(ctx, "k")
	require.NoError(t, err)
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	require.Zero(t, end(cmd.Wait()).code)

	got := run(t, "check-client", file)
	require.Equal(t, 1, got.code)
	require.Contains(t, got.errs, "1 of 2 reads may be answered from a proxy's cache")
	require.Contains(t, got.out, "     1×  get --consistency=s --prefix "+b.ServicePrefix()+"\n")
	got = run(t, "probe", "--endpoints", b.Cluster.Members[0].Endpoint()+","+b.Proxy("p1").Addr(), "--form-file", file,
		"-w", "json")
	require.Zero(t, got.code, got.errs)
	require.Contains(t, got.out, `"reads":2`)
	require.NoError(t, os.WriteFile(file, []byte("get k\n"), 0o644))
	require.Zero(t, run(t, "check-client", file).code)
}
