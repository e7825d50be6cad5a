package notebook

import (
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/history"
)

// A watch is told what changes in its range, in the words of truth, and what it is not told is said as well. When the
// member is back it makes good for its silence.
func TestAWatchIsToldOrSilent(t *testing.T) {
	t.Parallel()
	nb := pad(t, Options{})
	for _, c := range []struct{ line, want string }{
		{"bench proxies=1 gateways=1 upstream=(m1)", "truth     v1-a v1-b (revision 3)"},
		{"watch ops", "ops watches hello through p1"},
		{"watch g1 key=/colour", "g1 watches /colour through p1"},
		{"watch m1 leader", "hello is watched on m1"},
		{"deregister v1-a", "v1-a deregisters through p1 (revision 4) and stops"},
		{"told ops", "ops is told: hello/v1-a is deleted (revision 4)"},
		{"told ops patience=1ms", "ops is told nothing"},
		{"told g1 patience=1ms", "g1 is told nothing"}, // it is another key's
		{"cut m1", "m1 is cut off from the other members"},
		{"put m2 instance=v1-a", "hello/v1-a is written on m2 (revision 5)"},
		{"delete m2 instance=v1-a", "hello/v1-a is deleted on m2 (revision 6)"},
		{"put m2 instance=v1-b", "hello/v1-b is written on m2 (revision 7)"},
		{"told ops patience=1ms", "ops is told nothing\nSILENT hello/v1-a hello/v1-b  through p1; truth is at 7"},
		{"mend m1", "m1 hears the others again, and has caught up"},
		{"told ops", "ops is told: hello/v1-a is written (revision 5)\n" +
			"ops is told: hello/v1-a is deleted (revision 6)\nops is told: hello/v1-b is written (revision 7)"},
		{"unwatch ops", "ops watches no more"},
	} {
		out, err := nb.typed(c.line)
		require.NoError(t, err, c.line)
		require.Contains(t, out, c.want, c.line)
	}
	require.Equal(t, []string{"g1", "m1"}, nb.watcherNames())
	// A second watch of a node takes the place of the first, which is given up.
	_, err := nb.typed("watch g1 key=/shape")
	require.NoError(t, err)
	quit := 0
	for _, e := range nb.bench.History.Events() {
		if e.Watch != nil && e.Watch.Op == history.WatchQuit && e.Who == "g1" {
			quit++
		}
	}
	require.Equal(t, 1, quit)
	// A bench that ends takes its watches along.
	_, err = nb.typed("bench direct members=1 gateways=1")
	require.NoError(t, err)
	require.Empty(t, nb.watches)
}
