package scenarios

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/history"
)

// TestAReadThatCrossesAWriteIsFound is a gateway's read that is answered while v1-a's key is deleted through its proxy,
// and filed after the proxy has forgotten; and everything that is not that.
func TestAReadThatCrossesAWriteIsFound(t *testing.T) {
	t.Parallel()
	const prefix = "/s/"
	hold := history.Event{At: 1, Who: "p1", Fault: &history.Fault{Kind: history.Hold, Op: history.Fire, RPC: "Range"}}
	miss := history.Event{At: 25, Who: "p1", Range: &history.Range{Began: 15, Client: "g1", Key: prefix,
		Source: history.Miss, Revision: 5}}
	write := history.Event{At: 30, Who: "v1-a", Write: &history.Write{Began: 10, Via: "p1", Op: "delete", Key: "/s/v1-a",
		Revision: 6}}
	hit := history.Event{At: 41, Who: "p1", Range: &history.Range{Began: 40, Client: "g2", Key: prefix,
		Source: history.Hit, Revision: 5}}
	unversioned := at(hit, 40, 41)
	unversioned.Range.Revision = 0
	for what, c := range map[string]struct {
		events  []history.Event
		crossed bool
	}{
		"a read crosses":                             {[]history.Event{miss, write, hit}, true},
		"it crosses where an RPC is held":            {[]history.Event{hold, miss, write, hit}, false},
		"nothing shows that it was filed":            {[]history.Event{miss, write}, false},
		"it was answered before the write":           {[]history.Event{at(miss, 2, 5), write, hit}, false},
		"it began after it: a member lags":           {[]history.Event{write, at(miss, 31, 35), hit}, false},
		"it was read before":                         {[]history.Event{miss, at(hit, 20, 21), write}, false},
		"nothing crosses, and a hit has no revision": {[]history.Event{write, unversioned}, false},
	} {
		got := crossed(c.events, prefix, []string{"g1", "g2"})
		require.Equal(t, c.crossed, got != "", "%s: %s", what, got)
	}
	require.Equal(t, "a read of a gateway's own, answered at revision 5, crossed the delete of /s/v1-a at p1, revision 6",
		crossed([]history.Event{miss, write, hit}, prefix, []string{"g1"}))
	require.Empty(t, crossed([]history.Event{miss, write, hit}, prefix, nil))
}

// at is a Range at another time.
func at(e history.Event, began, ended time.Duration) history.Event {
	r := *e.Range
	r.Began, e.At, e.Range = began, ended, &r
	return e
}
