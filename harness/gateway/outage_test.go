package gateway

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"ghostroute/harness/history"
	"ghostroute/harness/port"
	"ghostroute/harness/registry"
)

// go-micro's router over a registry that is not there lists the services again and again, and looks whether it was
// closed only after it has succeeded. This is not parallel, as it looks at all goroutines of the process.
func TestARouterOverAnUnreachableRegistryEnds(t *testing.T) {
	nobody, err := port.Reserve()
	require.NoError(t, err)
	defer nobody.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	before := goleak.IgnoreCurrent()

	cfg := Config{Name: "g1", Kind: GoMicro, History: history.New(),
		Registry: registry.Config{Addresses: []string{nobody.Addr()}, Timeout: 10 * time.Millisecond}}
	require.NoError(t, cfg.complete())
	reg, err := registry.New(ctx, cfg.Registry)
	require.NoError(t, err)
	r := newRoute(&cfg, reg)
	require.Eventually(t, func() bool { read, ok := reg.LastRead(""); return ok && read.Err != "" }, 10*time.Second,
		time.Millisecond, "a list failed")

	short, stop := context.WithTimeout(ctx, 10*time.Millisecond)
	defer stop()
	require.ErrorContains(t, r.awaitWatching(short), "the services are not listed")
	require.NoError(t, r.Close())
	require.NoError(t, reg.Close())
	require.EqualError(t, r.awaitWatching(ctx), "it was closed")
	require.Eventually(t, func() bool { return goleak.Find(before) == nil }, 10*time.Second, 10*time.Millisecond,
		"it ends when it wakes")
}
