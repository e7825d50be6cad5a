//go:build real

package scenarios

import (
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness"
	"ghostroute/harness/explore/lab"
	"ghostroute/harness/explore/plan"
)

// TestAPlanOnProcessesEnds: what a process never answers over a link that is broken does not come to the gate behind
// that, and was waited for without end; a process that had dialled into a black hole was waited for until it gave that
// up; and one that was to ask another member than the one in a black hole did not hear of it. The model agrees to each
// step.
func TestAPlanOnProcessesEnds(t *testing.T) {
	t.Parallel()
	ctx, cancel := harness.Context(t)
	defer cancel()
	l, err := lab.New(lab.Config{Topology: runsOn(t).topology(harness.Topology{})})
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	for _, broken := range []string{"blackhole", "cut"} {
		for _, then := range []string{
			"read g1 p2 k1 | read g1 p2 k2 | delete g1 p2 k1 | mend p2-m2 | put g1 p2 k1 | read g1 p2 k1",
			"narrow p2 m3 | put g1 p2 k1 | read g1 p2 k1 | mend p2-m2 | narrow p2 m2 | put g1 p2 k1 | read g1 p2 k1",
		} {
			p, err := plan.Parse("plan members=3 proxies=2 clients=2 | read g1 p2 k1 | " + broken + " p2-m2 | " + then)
			require.NoError(t, err)
			out, err := l.Try(ctx, p, nil)
			require.NoError(t, err, p)
			require.GreaterOrEqual(t, out.Steps, len(p.Steps))
		}
	}
}
