package etcd_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/etcd"
	"ghostroute/harness/history"
)

func TestEveryMemberCanBeReplacedInTurn(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := etcd.Start(ctx, etcd.Config{Members: 3, Dir: t.TempDir(), History: history.New()})
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	lead, err := c.Leader(ctx)
	require.NoError(t, err)
	_, err = lead.Client().Put(ctx, "k", "v")
	require.NoError(t, err)

	for i := range c.Members {
		fresh, err := c.Replace(ctx, c.Members[i])
		require.NoError(t, err)
		require.Same(t, fresh, c.Members[i])
		r, err := fresh.Client().Get(ctx, "k")
		require.NoError(t, err)
		require.Equal(t, "v", string(r.Kvs[0].Value))
	}
}
