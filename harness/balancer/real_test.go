//go:build real

package balancer_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/balancer"
	"ghostroute/harness/history"
)

// kinds are the balancers, those among them that are processes.
var kinds = map[string]begins{
	"own": begin,
	"haproxy": func(t testing.TB, weights ...int) (*balancer.Balancer, *history.History, []*proxy) {
		return haproxy(t, false, weights...)
	},
}

// haproxy is an HAProxy before as many proxies as there are weights.
func haproxy(t testing.TB, sticky bool, weights ...int) (*balancer.Balancer, *history.History, []*proxy) {
	t.Helper()
	program, err := balancer.Find(t.Context(), "haproxy")
	require.NoError(t, err)
	behind, end := proxies(t, len(weights))
	t.Cleanup(end)
	h := history.New()
	b, err := balancer.NewHAProxy(t.Context(), h, backends(behind, weights...),
		balancer.HAProxy{Program: program, Dir: t.TempDir(), Sticky: sticky})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b, h, behind
}
