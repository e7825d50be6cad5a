package stage

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestPoolEndsWhatNobodyTakes has one of two clusters be free for long: it ends when the other comes back, and the
// other is lent again.
func TestPoolEndsWhatNobodyTakes(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	p, err := NewPool()
	require.NoError(t, err)
	defer func() { require.NoError(t, p.Close()) }()
	one, err := p.Take(ctx, 1)
	require.NoError(t, err)
	other, err := p.Take(ctx, 1)
	require.NoError(t, err)
	require.NoError(t, p.Give(ctx, one))
	p.free[0].since = p.free[0].since.Add(-2 * idle)
	require.NoError(t, p.Give(ctx, other))
	require.NoDirExists(t, one.Dir())
	_, err = one.Client().Put(ctx, "k", "v")
	require.Error(t, err, "it has ended")
	again, err := p.Take(ctx, 1)
	require.NoError(t, err)
	require.Same(t, other, again)
	require.Empty(t, p.Ended(), "nothing is wrong with it")
}
