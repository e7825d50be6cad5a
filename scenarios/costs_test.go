package scenarios

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ghostroute/harness"
)

// moduleVersion is the version of a module that go.mod asks for, and whether a changed copy takes its place.
func moduleVersion(t *testing.T, path string) string {
	mod, err := os.ReadFile("../go.mod")
	require.NoError(t, err)
	version := ""
	for line := range strings.Lines(string(mod)) {
		words := strings.Fields(strings.TrimPrefix(line, "replace "))
		switch {
		case len(words) >= 2 && words[0] == path && strings.HasPrefix(words[1], "v"):
			version = words[1]
		case len(words) >= 3 && words[0] == path && words[1] == "=>":
			version += ", replaced by a changed copy"
		}
	}
	return version
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
