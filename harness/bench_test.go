package harness_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness"
	"ghostroute/harness/history"
)

func TestTheDefaultBenchAnswers200FromEveryGateway(t *testing.T) {
	t.Parallel()
	ctx, cancel := harness.Context(t)
	defer cancel()
	b := harness.Start(t, harness.Topology{})
	require.NoError(t, b.Prime(ctx))
	for i, g := range b.Gateways() {
		require.Equal(t, b.Proxies()[i].Name(), b.PinnedTo(g.Name()), "each gateway is pinned to another proxy")
		resolve, requests := b.Look(ctx, g.Name())
		require.Equal(t, history.Hit, resolve.Source)
		require.Len(t, requests, 2)
		for _, r := range requests {
			require.Equal(t, 200, r.Status, r)
		}
	}
}
