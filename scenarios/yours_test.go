package scenarios

import (
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness"
)

func TestYours(t *testing.T) {
	t.Parallel()
	ctx, cancel := harness.Context(t) // ends with the test, with -timeout and with Ctrl-C
	defer cancel()
	yours := Scenario{
		Name:  "yours",
		Title: "an operator deletes v1-a's key on a member, and v1-a stops",
		Needs: func(t *harness.Topology) { t.Proxies = 2 }, // the rest is the incident's
		Act: func(t *Trial) error { // by now every gateway has read once and saw truth
			if err := t.on("m1", t.delete(t.ServiceKey("v1-a"))); err != nil {
				return err
			}
			return t.Instance("v1-a").Crash()
		},
	}
	m, err := NewMatrix(nil, t.ArtifactDir())
	require.NoError(t, err)
	defer func() { require.NoError(t, m.Close()) }()
	for name, want := range map[string]string{"none": "stale ghost", "ttl": "heals ghost", "no-proxy": "fresh"} {
		fix, err := FixNamed(name)
		require.NoError(t, err)
		cell, _, err := m.Cell(ctx, yours, fix)
		require.NoError(t, err)
		require.Equal(t, want, cell.Readings[0].Verdict.Label(), name) // Readings[1] is go-micro's own gateway
	}
}
