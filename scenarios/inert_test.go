package scenarios

import (
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness"
	"ghostroute/harness/gateway"
	"ghostroute/harness/stage"
	"ghostroute/harness/verdict"
)

// A scenario whose fault is taken out must not read the same: it reads unknown, for want of the evidence that it names.
// One that inflicts nothing names none, or only what the change itself leaves behind.
func TestWithoutItsFaultAScenarioProvesNothing(t *testing.T) {
	t.Parallel()
	pool, err := stage.NewPool()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	none, err := FixNamed("none")
	require.NoError(t, err)
	for _, s := range All() {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			begin(t)
			ctx, cancel := harness.Context(t)
			defer cancel()
			reading := gateway.EachRequest
			if s.Only != "" {
				reading = s.Only
			}
			top := Topology(s, none, reading)
			c, err := pool.Take(ctx, top.Members)
			require.NoError(t, err)
			b, err := harness.Open(ctx, top, harness.On(c))
			require.NoError(t, err)
			b.Inert = true
			trial := newTrial(ctx, b, s, none)
			failed := trial.Run()
			v := trial.Judge()
			spared := b.Spared
			require.NoError(t, b.Close())
			require.NoError(t, pool.Give(ctx, c))
			if spared == 0 {
				require.NoError(t, failed)
				require.NotEqual(t, verdict.Unknown, v.Outcome, "%s", v)
				return
			}
			require.NotNil(t, s.Proofs, "it inflicts something and names no evidence")
			if failed == nil {
				require.Equal(t, verdict.Unknown, v.Outcome, "%d faults were taken out, and it reads %s", spared, v)
				require.Contains(t, v.Why, "the fault does not show")
			}
		})
	}
}
