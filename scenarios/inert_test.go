package scenarios

import (
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness"
	"ghostroute/harness/gateway"
	"ghostroute/harness/verdict"
)

// A scenario whose fault is taken out must not read the same: it reads unknown, for want of the evidence that it names.
// One that inflicts nothing names none, or only what the change itself leaves behind.
func TestWithoutItsFaultAScenarioProvesNothing(t *testing.T) {
	t.Parallel()
	m, err := NewMatrix(nil, t.ArtifactDir())
	require.NoError(t, err)
	shared(t, m)
	none, err := FixNamed("none")
	require.NoError(t, err)
	for _, s := range All() {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := harness.Context(t)
			defer cancel()
			reading := gateway.EachRequest
			if s.Only != "" {
				reading = s.Only
			}
			var last *Trial
			prepare := s.Prepare
			s.Prepare = func(t *Trial) error {
				if last, t.Inert = t, true; prepare == nil {
					return nil
				}
				return prepare(t)
			}
			r, _, err := m.Trial(ctx, s, none, reading)
			require.NoError(t, err)
			require.NotNil(t, last, "%s", r.Verdict)
			if last.Spared == 0 {
				require.NotEqual(t, verdict.Unknown, r.Verdict.Outcome, "%s", r.Verdict)
				return
			}
			require.NotNil(t, s.Proofs, "it inflicts something and names no evidence")
			require.Equal(t, verdict.Unknown, r.Verdict.Outcome, "%d faults were taken out, and it reads %s", last.Spared,
				r.Verdict)
			if r.Failed == "" {
				require.Contains(t, r.Verdict.Why, "the fault does not show")
			}
		})
	}
}
