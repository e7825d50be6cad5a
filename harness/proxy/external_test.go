package proxy_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/history"
	"ghostroute/harness/program"
	"ghostroute/harness/proxy"
)

// A proxy that cannot be is refused with the reason; a process that dies at its start is told with its command line and
// the last that it said; nothing is left of either.
func TestAProcessThatCannotBe(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "etcd")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\necho \"unknown command $1\"; exit 1\n"), 0o755))
	cfg := proxy.Config{Name: "p1", History: history.New(), Dir: dir, Program: program.Program{Path: path},
		Upstream: []proxy.Upstream{{Name: "m1", Addr: "127.0.0.1:1"}}}
	_, err := proxy.Start(t.Context(), cfg)
	require.ErrorContains(t, err, "p1 ended by itself, exit status 1: "+path+" grpc-proxy start --endpoints 127.0.0.1:")
	require.ErrorContains(t, err, "p1.log):\nunknown command grpc-proxy")

	cfg.Variant = proxy.TTL(0)
	_, err = proxy.Start(t.Context(), cfg)
	require.EqualError(t, err, "proxy p1: ttl cannot be a process: no flag of etcd's makes it: "+
		"what it changes is changed inside this process")
	cfg.Variant = proxy.L4()
	_, err = proxy.Start(t.Context(), cfg)
	require.ErrorContains(t, err, "unknown command gateway")
}

// The drop-in's caches are variants where it is the drop-in that runs, and cannot be where it is etcd's own.
func TestADropInsProxyIsGivenItsMode(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "etcd")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\necho \"$@\"; exit 1\n"), 0o755))
	stock := program.Program{Path: path}
	cfg := proxy.Config{Name: "p1", History: history.New(), Dir: dir, Program: program.Program{Path: path, Caches: true},
		Upstream: []proxy.Upstream{{Name: "m1", Addr: "127.0.0.1:1"}}}
	for v, mode := range map[string]string{"revalidate": "revalidate", "cache-off": "off"} {
		variant, err := proxy.VariantNamed(v)
		require.NoError(t, err)
		cfg.Variant = variant
		_, err = proxy.Start(t.Context(), cfg)
		require.ErrorContains(t, err, "--experimental-kv-cache="+mode+"\n")
		require.NotEmpty(t, variant.Lacks(stock))
		require.Empty(t, variant.Lacks(cfg.Program))
	}
	require.NotEmpty(t, proxy.TTL(0).Lacks(cfg.Program))
	require.NotEmpty(t, proxy.Consistent().Lacks(cfg.Program))
	require.Empty(t, proxy.Stock().Lacks(stock))
}
