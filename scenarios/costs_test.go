package scenarios

import (
	"context"
	"fmt"
	"runtime/debug"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ghostroute/harness"
)

// moduleVersion is the version of a module that the tests were built with, with what replaces it.
func moduleVersion(path string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, d := range info.Deps {
		if d.Path != path {
			continue
		}
		if d.Replace != nil {
			return d.Version + ", replaced by " + d.Replace.Version + " (a changed copy)"
		}
		return d.Version
	}
	return ""
}

// measure measures the costs of every fix, one after another, with nothing else running.
func (m *matrix) measure(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	for _, f := range Fixes() {
		c, err := Costs(ctx, f)
		require.NoError(t, err)
		m.costs[f.Name] = c
	}
	fmt.Printf("matrix: costs measured, %s\n", time.Since(m.began).Round(time.Second))
}

func TestCosts(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"none", "no-proxy", "cache-off"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := harness.Context(t)
			defer cancel()
			f, err := FixNamed(name)
			require.NoError(t, err)
			c, err := Costs(ctx, f)
			require.NoError(t, err)
			t.Logf("%+v", *c)
			require.Positive(t, c.ReadP50)
			require.Equal(t, name != "no-proxy", c.MembersHidden)
			if name == "none" {
				require.Zero(t, c.RangesPer1000, "a warm cache asks nobody")
			} else {
				require.EqualValues(t, 1000, c.RangesPer1000, "nothing stands between a read and etcd")
			}
			if name != "no-proxy" {
				require.Positive(t, c.ProxyDeath.Recovery, "gateways were to recover from a dead proxy")
			}
		})
	}
}
