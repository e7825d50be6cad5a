//go:build real

package scenarios

import (
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness"
	"ghostroute/harness/balancer"
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
	m, err := NewMatrix(expected, t.ArtifactDir())
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
