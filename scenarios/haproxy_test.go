//go:build real

package scenarios

import (
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness"
	"ghostroute/harness/balancer"
	"ghostroute/harness/explore/check"
	"ghostroute/harness/explore/hunt"
	"ghostroute/harness/explore/lab"
	"ghostroute/harness/explore/plan"
)

// TestBehindHAProxy has the incident, and what is about weights, drains and stickiness, behind a process of HAProxy:
// every step holds and every verdict is as behind our own balancer. The whole of it, without processes of etcd:
// ghostroute matrix --balancer haproxy.
func TestBehindHAProxy(t *testing.T) {
	t.Parallel()
	haproxy, err := balancer.Find(t.Context(), "haproxy")
	require.NoError(t, err)
	on := runsOn(t)
	on.Balancer = haproxy

	t.Run("incident", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := harness.Context(t)
		defer cancel()
		tells := func(on On) string {
			var told strings.Builder
			require.NoError(t, Incident(ctx, Output{Writer: io.MultiWriter(t.Output(), &told)}, on))
			_, story, _ := strings.Cut(told.String(), "1 All is well")
			return regexp.MustCompile(`127\.0\.0\.1:\d+`).ReplaceAllString(story, "ADDRESS")
		}
		require.Equal(t, tells(runsOn(t)), tells(on))
	})

	expected, err := ReadExpected()
	require.NoError(t, err)
	m, err := NewMatrix(expected, harness.Evidence(t))
	require.NoError(t, err)
	m.RunOn(on)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	for _, name := range []string{"deregister-elsewhere", "proxy-drained", "moved-back", "half-fixed-fleet", "watch-cut"} {
		s, err := Named(name)
		require.NoError(t, err)
		for _, name := range []string{"none", "weights", "weights-drain", "sticky"} {
			f, err := FixNamed(name)
			require.NoError(t, err)
			t.Run(s.Name+"/"+f.Name, func(t *testing.T) {
				t.Parallel()
				ctx, cancel := harness.Context(t)
				defer cancel()
				cell, moved, err := m.Cell(ctx, s, f)
				require.NoError(t, err)
				require.Empty(t, moved)
				require.NotEmpty(t, cell.Readings)
			})
		}
	}
}

// TestAPlanBehindHAProxy has the explorer's plans there, too. HAProxy mixes weights in an order of its own, by which it
// is known; where it leads each client the model is told, and agrees to each step.
func TestAPlanBehindHAProxy(t *testing.T) {
	t.Parallel()
	ctx, cancel := harness.Context(t)
	defer cancel()
	haproxy, err := balancer.Find(ctx, "haproxy")
	require.NoError(t, err)
	p, err := plan.Parse("plan members=1 proxies=3 clients=3 | weights 4,3,2 | read g1 vip k1 | read g2 vip k1 | " +
		"read g3 vip k1 | weights 0,0,1 | put g1 p1 k1 | read g1 vip k1 | read g2 vip k1 | drain p1 | read g1 vip k1")
	require.NoError(t, err)
	checks, err := hunt.Checks("convergence")
	require.NoError(t, err)
	on := runsOn(t)
	for _, b := range []struct {
		program balancer.Program
		to      string
	}{{balancer.Program{}, "g1 p1, g2 p1, g3 p2, g1 p3"}, {haproxy, "g1 p1, g2 p2, g3 p1, g1 p3"}} {
		on.Balancer = b.program
		l, err := lab.New(lab.Config{Topology: on.topology(harness.Topology{})})
		require.NoError(t, err)
		out, err := l.Try(ctx, p, checks)
		require.NoError(t, errors.Join(err, l.Close()))
		var to []string
		for _, e := range out.Events {
			if e.Conn != nil && e.Conn.Op == "open" {
				to = append(to, e.Conn.Client+" "+e.Conn.Proxy)
			}
		}
		require.Equal(t, b.to, strings.Join(to, ", "), "behind %s", b.program)
		require.Equal(t, check.Broken, out.Results[0].Outcome)
	}
}
