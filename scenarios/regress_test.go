package scenarios

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness"
	"ghostroute/harness/explore/hunt"
	"ghostroute/harness/explore/model"
	"ghostroute/harness/proxy"
)

// regress holds a fix to what the fix of that name is expected to break.
func regress(t *testing.T, f Fix, checks string, plans int64) (Explored, string) {
	t.Helper()
	promises, err := hunt.Checks(checks)
	require.NoError(t, err)
	var said strings.Builder
	e, err := Regress(begin(t), Output{Writer: &said, Dir: t.ArtifactDir()},
		Search{Fix: f, Checks: promises, Seed: 1, Plans: plans})
	require.NoError(t, err)
	return e, said.String()
}

// TestWhatIsNoLongerBrokenIsGone gives the name of a fix that is refuted to one that is not.
func TestWhatIsNoLongerBrokenIsGone(t *testing.T) {
	t.Parallel()
	cured := Fix{Name: "scatter", Promises: []string{"convergence"},
		Apply: func(t *harness.Topology) { t.Variant = proxy.CacheOff() }}
	e, said := regress(t, cured, "convergence", 1)
	require.Len(t, e.Findings, 1)
	require.Contains(t, e.Findings[0].Why, "gone: convergence is kept")
	require.DirExists(t, e.Findings[0].Evidence)
	require.Equal(t, []Met{{Check: "convergence", Expected: true, Moved: "gone"}}, e.Met)
	require.Regexp(t, `convergence +0 +yes +gone\n`, said)
	require.EqualValues(t, 2, e.Plans)
}

// TestWhatIsBrokenAndNotExpectedIsNew promises for the stock proxy, by another name, what it does not keep, and goes on
// past what it finds.
func TestWhatIsBrokenAndNotExpectedIsNew(t *testing.T) {
	t.Parallel()
	sticky := Fix{Name: "a promise", Promises: []string{"convergence"},
		Apply: func(t *harness.Topology) { t.Sticky = true }}
	e, said := regress(t, sticky, "convergence", 3)
	require.Len(t, e.Findings, 1, "told once")
	require.True(t, e.Findings[0].Claimed)
	require.DirExists(t, e.Findings[0].Evidence)
	require.Regexp(t, `convergence +[1-3] +no +new\n`, said)
	require.GreaterOrEqual(t, e.Plans, int64(3), "it went on")

	sticky.Promises = nil
	e, _ = regress(t, sticky, "convergence", 1)
	require.Empty(t, e.Findings, "what nobody promises may be broken")
}

// The stock proxy is expected to break a promise by every cause that is known, and by no other.
func TestStockIsExpectedToBreakWhatIsKnown(t *testing.T) {
	t.Parallel()
	x, err := Search{Fix: Fixes()[0]}.expectation()
	require.NoError(t, err)
	for _, c := range model.Causes() {
		require.True(t, x.expects(c.Breaks(), c), "%s", c)
		if c.Breaks() != "" {
			require.Contains(t, x.kept, causeNames[c], "a plan that shows it is kept")
		}
	}
	require.False(t, x.expects("convergence", model.Unexplained))
}

// TestASoakOfAFewPlans is what CI runs more of: with the stock proxy nothing is news, and what is left behind says
// where to go on.
func TestASoakOfAFewPlans(t *testing.T) {
	t.Parallel()
	checks, err := hunt.Checks("convergence,identity")
	require.NoError(t, err)
	var said strings.Builder
	out := Output{Writer: &said, Dir: t.ArtifactDir()}
	s := Search{Fix: Fixes()[0], Checks: checks, Seed: 5, Plans: 4}
	ctx := begin(t)
	found, err := Soak(ctx, out, s)
	require.NoError(t, err, said.String())
	require.Zero(t, found, said.String())
	s.Seed = 0
	_, err = Soak(ctx, out, s)
	require.NoError(t, err, said.String())
	require.Contains(t, said.String(), "from seed 5, behind 0 plans\n")
	require.Contains(t, said.String(), "from seed 9, behind 4 plans\n")
}
