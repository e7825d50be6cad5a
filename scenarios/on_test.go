package scenarios

import (
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness"
	"ghostroute/harness/gateway"
	"ghostroute/harness/program"
)

// TestOnTheClientOfTheIncident: what it cannot be is a dash with the reason, and all else is tried.
func TestOnTheClientOfTheIncident(t *testing.T) {
	t.Parallel()
	on := On{Client: program.Program{Path: "period"}}
	require.Contains(t, on.about("v1"), "v1; clients are that of the incident")
	require.Equal(t, " --client period", on.flags())
	require.Empty(t, on.lacks(harness.Topology{}))
	require.Contains(t, on.lacks(harness.Topology{Auth: true}), "is no user")
	require.Contains(t, on.lacks(harness.Topology{Library: gateway.Resolver}), "today's client")

	m, today := &Matrix{on: on}, &Matrix{}
	dashes := 0
	for _, s := range All() {
		for _, f := range Fixes() {
			if today.notApplicable(s, f, gateway.EachRequest) != "" {
				continue
			}
			why := m.notApplicable(s, f, gateway.EachRequest)
			if s.Ask != nil || Topology(s, f, gateway.EachRequest).Auth {
				require.NotEmpty(t, why, "%s/%s", s.Name, f.Name)
				dashes++
				continue
			}
			require.Empty(t, why, "%s/%s", s.Name, f.Name)
			on := on.topology(Topology(s, f, gateway.EachRequest))
			require.NoError(t, on.Validate(), "%s/%s", s.Name, f.Name)
		}
	}
	require.Positive(t, dashes)
}
