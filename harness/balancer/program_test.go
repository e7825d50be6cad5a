package balancer_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/balancer"
)

func TestWhatBalancesIsFound(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	is := func(script string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "haproxy"), []byte("#!/bin/sh\n"+script), 0o755))
	}
	is("echo 'HA-Proxy version 1.8.4 2018/02/08'")
	p, err := balancer.Find(t.Context(), "haproxy")
	require.NoError(t, err)
	require.Equal(t, "HAProxy 1.8.4", p.String())
	is("echo nginx version: nginx/1.22")
	_, err = balancer.Find(t.Context(), "haproxy")
	require.ErrorContains(t, err, `is no HAProxy: asked for its version, it says "nginx version`)
	is("exit 3")
	_, err = balancer.Find(t.Context(), "haproxy")
	require.ErrorContains(t, err, "does not run: asked for its version, exit status 3")

	_, err = balancer.FindAmong(t.Context(), "no-such", "/no/such")
	require.ErrorContains(t, err, "HAProxy is not installed: Debian's and Ubuntu's package haproxy has it")

	p, err = balancer.Find(t.Context(), "own")
	require.NoError(t, err)
	require.Zero(t, p)
	_, err = balancer.Find(t.Context(), "ipvs")
	require.ErrorContains(t, err, "ipvsadm -A -t VIP:2379 -s wrr")
	_, err = balancer.Find(t.Context(), "lvs")
	require.ErrorContains(t, err, `"lvs"`)
}
