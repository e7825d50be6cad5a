//go:build real

package balancer_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/balancer"
	"ghostroute/harness/history"
)

// kinds are the balancers, those among them that are processes.
var kinds = map[string]begins{
	"own": begin,
	"haproxy": func(t testing.TB, weights ...int) (*balancer.Balancer, *history.History, []*proxy) {
		return haproxy(t, false, weights...)
	},
}

// haproxy is an HAProxy before as many proxies as there are weights.
func haproxy(t testing.TB, sticky bool, weights ...int) (*balancer.Balancer, *history.History, []*proxy) {
	t.Helper()
	behind, end := proxies(t, len(weights))
	t.Cleanup(end)
	h := history.New()
	b, err := started(t, h, backends(behind, weights...), t.TempDir(), sticky)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b, h, behind
}

// started is an HAProxy before backends, while nothing else closes a listener.
func started(t testing.TB, h *history.History, behind []balancer.Backend, dir string, sticky bool) (*balancer.Balancer,
	error) {
	t.Helper()
	forking.Lock()
	defer forking.Unlock()
	program, err := balancer.Find(t.Context(), "haproxy")
	require.NoError(t, err)
	return balancer.NewHAProxy(t.Context(), h, behind, balancer.HAProxy{Program: program, Dir: dir, Sticky: sticky})
}

// TestHAProxyIsSticky: as TestSticky, for which ours is told while it runs.
func TestHAProxyIsSticky(t *testing.T) {
	t.Parallel()
	b, _, behind := haproxy(t, true, 1, 1, 1)
	require.NoError(t, b.SetSticky(true))
	require.ErrorContains(t, b.SetSticky(false), "said when it is started")
	goes(t, b, "g1", "p1")
	goes(t, b, "g1", "p1")
	goes(t, b, "g2", "p2") // g1's second took no place in the schedule
	behind[0].stop()
	goes(t, b, "g1", "p3") // its proxy is dead
	behind[0].start(t)
	goes(t, b, "g1", "p3") // and there it stays
	require.NoError(t, b.SetWeights(map[string]int{"p3": 0}))
	goes(t, b, "g1", "p1")
	goes(t, b, "g1", "p1")
}

// TestWhatIsPinnedIsWhatHAProxySays: the history's connections are those that HAProxy has, each at its server, and
// comes from where its proxy sees it come from.
func TestWhatIsPinnedIsWhatHAProxySays(t *testing.T) {
	t.Parallel()
	b, _, _ := haproxy(t, false, 1, 1)
	sessions := func() map[string]int {
		said, err := b.Sessions()
		require.NoError(t, err)
		at := map[string]int{}
		for _, m := range regexp.MustCompile(` srv=(p\d) `).FindAllStringSubmatch(said, -1) {
			at[m[1]]++
		}
		return at
	}
	var all []*given
	for _, want := range []string{"p1", "p2", "p1"} {
		conn := goes(t, b, "g1", want)
		require.Equal(t, "g1", b.ClientOf(want, conn.from))
		all = append(all, conn)
	}
	require.Equal(t, map[string]int{"p1": 2, "p2": 1}, sessions())
	require.NoError(t, all[0].Close())
	until(t, "who hung up is pinned no more", func() bool { return len(b.Pinned()["g1"]) == 2 })
	require.Equal(t, []string{"p2", "p1"}, b.Pinned()["g1"])
	until(t, "HAProxy knows it", func() bool { return sessions()["p1"] == 1 })
	n, err := b.Drain("p2")
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Equal(t, map[string]int{"p1": 1}, sessions())
}

// TestWhatHAProxySaidBeforeIsForgotten: each change of weights has it say that no server is left, more lines than its
// socket holds; the line that is waited for is not lost for it.
func TestWhatHAProxySaidBeforeIsForgotten(t *testing.T) {
	t.Parallel()
	b, _, _ := haproxy(t, false, 1, 1)
	most, err := os.ReadFile("/proc/sys/net/unix/max_dgram_qlen")
	require.NoError(t, err)
	n, err := strconv.Atoi(strings.TrimSpace(string(most)))
	require.NoError(t, err)
	for range n + 2 {
		require.NoError(t, b.SetWeights(map[string]int{"p1": 1}))
	}
	goes(t, b, "g1", "p1")
}

// TestHAProxyThatDies ends its connections, takes no new ones, and is told of when the balancer closes.
func TestHAProxyThatDies(t *testing.T) {
	t.Parallel()
	behind, end := proxies(t, 1)
	t.Cleanup(end)
	h, dir := history.New(), t.TempDir()
	b, err := started(t, h, backends(behind, 1), dir, false)
	require.NoError(t, err)
	conn := goes(t, b, "g1", "p1")
	b.Kill()
	requireEnded(t, conn)
	goes(t, b, "g1", "")
	require.ErrorContains(t, b.SetWeights(map[string]int{"p1": 0}), `haproxy is not asked "set weight px/p1 0`)
	require.NoError(t, b.Close())
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Join(dir, "lb.log")}, left)

	_, err = started(t, h, []balancer.Backend{{Name: "p 1", Addr: "127.0.0.1:1", Weight: 1}}, dir, false)
	require.ErrorContains(t, err, "does not balance: haproxy ended by itself, exit status 1: ")
	_, err = started(t, h, backends(behind, 257), dir, false)
	require.ErrorContains(t, err, "the weight of p1 cannot be 257: it may be 0 to 256")
}
