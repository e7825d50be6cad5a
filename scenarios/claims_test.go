package scenarios

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/explore/check"
	"ghostroute/harness/explore/hunt"
	"ghostroute/harness/explore/lab"
	"ghostroute/harness/explore/plan"
)

// What one fix came to takes the place of what it had come to, and of no other's.
func TestClaimsOfOtherFixesStay(t *testing.T) {
	t.Parallel()
	all := map[string]string{}
	for _, f := range Fixes() {
		all[f.Name] = "| " + f.Name + " | linearizable | was | |\n| " + f.Name + " | identity | was | |\n"
	}
	was := claimsTable("", all)
	require.Equal(t, 2*len(Fixes()), strings.Count(was, "| was |"))
	now := claimsTable(was, map[string]string{"ttl": "| ttl | bounded | is | |\n"})
	require.Equal(t, 2*len(Fixes())-2, strings.Count(now, "| was |"))
	require.Equal(t, 1, strings.Count(now, "| ttl | bounded | is | |\n"))
	require.Equal(t, now, claimsTable(now, nil))
}

// The plan that refuted "every answer is linearizable" of each cache: a member that is cut off is asked past every
// proxy. What proxies answer keeps it.
func TestACacheClaimsWhatProxiesAnswer(t *testing.T) {
	t.Parallel()
	p, err := plan.Parse("plan members=3 proxies=2 clients=2 | cut m3 | put g1 p1 k1 | read g1 m3 k1 | read g1 p2 k1")
	require.NoError(t, err)
	fix, err := FixNamed("consistent")
	require.NoError(t, err)
	l, err := lab.New(fix.lab())
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	ctx := begin(t)
	for want, named := range map[check.Outcome]func(string) ([]check.Check, error){
		check.Broken: hunt.Checks, check.Kept: fix.Checks} {
		checks, err := named("linearizable,own-writes")
		require.NoError(t, err)
		out, err := l.Try(ctx, p, checks)
		require.NoError(t, err)
		for _, r := range out.Results {
			require.Equal(t, want, r.Outcome, "%s: %s", r.Promise, r.Why)
		}
	}
}

// The plan that refuted "nobody is told less than before" of consistent: what was at a revision never changes, but the
// member that is asked for it may be cut off, and its answer's header is then older than what the reader knows.
func TestAReadOfThePastIsNotOlderThanWhatWasTold(t *testing.T) {
	t.Parallel()
	p, err := plan.Parse(
		"plan members=3 proxies=2 clients=2 | cut m2 | put g1 m1 k1 | read g1 p1 k1 | read g1 p2 k1 rev=now-1")
	require.NoError(t, err)
	ctx := begin(t)
	for _, name := range []string{"revalidate", "consistent"} {
		fix, err := FixNamed(name)
		require.NoError(t, err)
		l, err := lab.New(fix.lab())
		require.NoError(t, err)
		checks, err := fix.Checks("monotonic")
		require.NoError(t, err)
		out, err := l.Try(ctx, p, checks)
		require.NoError(t, errors.Join(err, l.Close()))
		for _, r := range out.Results {
			require.Equal(t, check.Kept, r.Outcome, "%s: %s", name, r.Why)
		}
	}
}
