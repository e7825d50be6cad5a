package harness_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"ghostroute/harness"
	"ghostroute/harness/gateway"
	"ghostroute/harness/program"
	"ghostroute/harness/proxy"
	"ghostroute/harness/registry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, gateway.KnownLeaks()...) }

func TestATopologyThatCannotBeIsRefusedWithTheFieldItsValueAndWhatItMayBe(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		top  harness.Topology
		want string
	}{
		{harness.Topology{Members: 2}, "Members is 2: it may be 1, 3 or 5"},
		{harness.Topology{Proxies: -1}, "Proxies is -1: it may be 1 to 9 (for none, set Direct)"},
		{harness.Topology{Gateways: 10}, "Gateways is 10: it may be 1 to 9"},
		{harness.Topology{Weights: []int{1, 0}}, "Weights is [1 0]: it may be 3 weights, one for each proxy"},
		{harness.Topology{Weights: []int{1, 0, -1}}, "Weights is [1 0 -1]: it may be 0 or more each"},
		{harness.Topology{Mode: "lineariseable"},
			`Mode is "lineariseable": it may be "serializable" or "linearizable-get" or "linearizable"`},
		{harness.Topology{Modes: []registry.Mode{"", "", "", registry.Linearizable}},
			"Modes is [   linearizable]: it may be at most 3, one for each gateway"},
		{harness.Topology{Reading: "micro"}, `Reading is "micro": it may be "each-request" or "go-micro"`},
		{harness.Topology{Upstream: []string{"m4"}}, "Upstream is [m4]: it may be some of m1, m2, m3"},
		{harness.Topology{Direct: true, Variant: proxy.TTL(0)},
			"Variant is ttl: it may be stock where Direct leaves no proxy to vary"},
		{harness.Topology{TTL: 1500 * time.Millisecond}, "TTL is 1.5s: it may be whole seconds, 1s or more"},
		{harness.Topology{Instances: []string{"a"}}, `Instances is "a": it may be "version-letter", as in "v1-a"`},
		{harness.Topology{Instances: []string{"v1-a", "v1-a"}}, `Instances is "v1-a" twice: it may be each once`},
		{harness.Topology{Client: program.Program{Path: "period"}, Auth: true},
			`Auth is true: it may be false where Client is a process`},
		{harness.Topology{Client: program.Program{Path: "period"}, Reading: gateway.GoMicro, Library: gateway.Resolver},
			`Library is "resolver": it may be that of go-micro as shipped, where Client is a process`},
		{harness.Topology{Users: []string{"eve"}}, "Users is [eve]: it may be given with Auth only"},
		{harness.Topology{Members: 2, Gateways: 10}, "Members is 2: it may be 1, 3 or 5; Gateways is 10: it may be 1 to 9"},
	} {
		_, err := harness.Open(context.Background(), c.top)
		require.ErrorContains(t, err, "this topology cannot be: ")
		require.ErrorContains(t, err, c.want)
	}
}

func TestABenchThatMayNotTakeLongerSaysWhatItWaitedForAndLeavesNothing(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeoutCause(context.Background(), time.Millisecond,
		errors.New("nobody has that much time"))
	defer cancel()
	_, err := harness.Open(ctx, harness.Topology{})
	require.ErrorContains(t, err, "a cluster of 3 in ")
	require.ErrorContains(t, err, "did not start")
}

func TestAFolderThatCannotBeWrittenIsNamed(t *testing.T) {
	nowhere := filepath.Join(t.TempDir(), "nowhere")
	t.Setenv("TMPDIR", nowhere)
	_, err := harness.Open(context.Background(), harness.Topology{})
	require.ErrorContains(t, err, "there is no folder for the members' data")
	require.ErrorContains(t, err, nowhere)
}

func TestTheHistoryIsSavedWhereTheTestKeepsItsArtifacts(t *testing.T) {
	t.Parallel()
	dir := t.ArtifactDir()
	t.Run("bench", func(t *testing.T) {
		b := harness.Start(t, harness.Topology{Members: 1, Proxies: 1, Gateways: 1})
		require.NoError(t, b.Save())
		require.FileExists(t, filepath.Join(b.Dir, "history.jsonl"))
	})
	require.DirExists(t, dir)
}
