package scenarios

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/report"
)

// TestCosts measures one after another: three members each, asked as fast as they answer.
func TestCosts(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"none", "no-proxy", "cache-off", "coherent"} {
		t.Run(name, func(t *testing.T) {
			f, err := FixNamed(name)
			require.NoError(t, err)
			var c *report.Costs // nothing recovers on a machine that stands still, nor is quick
			steady(lasting(t), t, func(ctx context.Context) (err error) {
				c, err = Costs(ctx, f)
				return err
			})
			t.Logf("%+v", *c)
			require.Positive(t, c.ReadP50)
			require.Equal(t, name != "no-proxy", c.MembersHidden)
			switch name {
			case "none":
				require.Zero(t, c.RangesPer1000, "a warm cache asks no member")
			case "coherent":
				require.Less(t, c.RangesPer1000, 500.0, "a barrier is good for more than one read")
			default:
				require.EqualValues(t, 1000, c.RangesPer1000, "nothing stands between a read and etcd")
			}
			if name != "no-proxy" {
				require.Positive(t, c.ProxyDeath.Recovery, "gateways were to recover from a dead proxy")
			}
		})
	}
}
