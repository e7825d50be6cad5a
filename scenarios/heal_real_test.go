//go:build real

package scenarios

import (
	"cmp"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness"
	"ghostroute/harness/program"
)

// TestTheOneLinerHeals types what the README tells an operator to type, with the etcdctl of the version, at its proxy.
func TestTheOneLinerHeals(t *testing.T) {
	t.Parallel()
	ctx, cancel := harness.Context(t)
	defer cancel()
	ctl, err := program.Etcdctl(ctx, cmp.Or(os.Getenv("GHOSTROUTE_ETCD"), "3.7.3"), func(s string) { t.Log(s) })
	require.NoError(t, err)
	healed, err := Etcd{On: runsOn(t), Ctl: ctl}.heals(ctx)
	require.NoError(t, err)
	require.Equal(t, yes, healed)
}
