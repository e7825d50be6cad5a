package report_test

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/history"
	"ghostroute/harness/report"
	"ghostroute/harness/verdict"
)

// drawing draws events, a millisecond apart, and returns what became of them: lanes, bands with their times, moments.
func drawing(t *testing.T, events ...history.Event) (lanes, bands, moments []string) {
	t.Helper()
	for i := range events {
		events[i].Seq, events[i].At = i+1, time.Duration(i+1)*time.Millisecond
	}
	d := draw(t, events).Drawing
	for _, l := range d.Lanes {
		lanes = append(lanes, l.N+" "+l.K)
	}
	for _, b := range d.Bands {
		bands = append(bands, fmt.Sprintf("%s %s %d-%d", d.Lanes[b.L].N, b.X, b.T/1000, b.U/1000))
	}
	for _, m := range d.Marks {
		if m.L >= 0 && (m.G == "fault" || m.G == "conn") {
			moments = append(moments, d.Lanes[m.L].N+" "+m.G+" "+m.X)
		}
	}
	return lanes, bands, moments
}

func fault(op history.FaultOp, kind history.FaultKind, target, rpc string) history.Event {
	return history.Event{Who: "bench", Fault: &history.Fault{Kind: kind, Op: op, Target: target, RPC: rpc}}
}

// draw is the drawing of a history.
func draw(t *testing.T, events []history.Event) unpacked {
	t.Helper()
	q := verdict.Question{Service: "hello"}
	return drawn(t, write(t, func(w io.Writer) error { return report.Draw(w, "one", events, q) }))
}

func resolved(who, via string) history.Event {
	r := history.Resolve{Service: "hello", Via: via, Source: history.Miss, Revision: 3}
	return history.Event{Who: who, Resolve: &r}
}

func wrote(who, op string) history.Event {
	return history.Event{Who: who, Write: &history.Write{Op: op, Key: "/micro/registry/hello/hello-" + who}}
}

func TestFaultsAreBandsWhereTheyAreAndMomentsAreMarks(t *testing.T) {
	t.Parallel()
	lanes, bands, moments := drawing(t,
		resolved("g1", "p1"), resolved("g2", "p2"),
		fault(history.Fire, history.CutPeer, "m3", ""),
		fault(history.Arm, history.Hold, "p1", "Range"),
		fault(history.Fire, history.Hold, "p1", "Range"),
		fault(history.End, history.Hold, "p2", "Range"),
		fault(history.Fire, history.Cut, "p1→m1", ""),
		fault(history.Fire, history.Cut, "p1→m2", ""),
		fault(history.End, history.Cut, "p1→m2", ""),
		fault(history.Fire, history.Restart, "p1", ""),
		fault(history.End, history.CutPeer, "m3", ""),
		fault(history.Fire, history.Kill, "m3", ""),
		fault(history.Fire, history.Restart, "m3", ""),
		history.Event{Who: "lb", Conn: &history.Conn{Op: "drain", Proxy: "p1"}},
	)
	require.Equal(t, []string{"g1 gateway", "g2 gateway", "lb balancer", "p1 proxy", "p2 proxy",
		"m3 member", "truth truth"},
		lanes)
	require.Equal(t, []string{
		"m3 cut-peer 3-11", "p1 hold Range 4-0", "p1 cut m1 7-0", "p1 cut m2 8-9", "m3 kill 12-13"}, bands,
		"what does not end has no end, and the end of one link's or proxy's fault is not the other's")
	require.Equal(t, []string{"m3 fault ", "p1 fault ", "p1 fault ", "p1 fault ", "p1 fault restart", "m3 fault ",
		"m3 fault restart", "lb conn drain"}, moments)
}

// The explorer names a lease "l1" and a link "p1-m1".
func TestLanesAreWhatEventsSayOfANode(t *testing.T) {
	t.Parallel()
	lanes, bands, moments := drawing(t,
		resolved("g1", "p1"),
		wrote("v1-c", "grant"), wrote("v1-c", "put"), wrote("v1-d", "put"),
		fault(history.Fire, history.Expire, "l1", ""),
		fault(history.Fire, history.Cut, "p1-m1", ""),
		fault(history.End, history.Cut, "p1-m1", ""),
		fault(history.Fire, history.Crash, "v1-c", ""),
		fault(history.Fire, history.Stop, "x9", ""),
		fault(history.Fire, history.Token, "mallory", ""),
	)
	require.Equal(t, []string{"g1 gateway", "writers writer", "p1 proxy", "truth truth"}, lanes,
		"neither a lease nor a link, an instance or a name that nothing is known of is a member")
	require.Equal(t, []string{"p1 cut 6-7"}, bands)
	require.Equal(t, []string{"p1 fault ", "writers fault v1-c crash"}, moments)

	lanes, _, moments = drawing(t, resolved("g1", "p1"), fault(history.Fire, history.Crash, "v1-c", ""))
	require.Equal(t, []string{"g1 gateway", "v1-c writer", "p1 proxy", "truth truth"}, lanes)
	require.Equal(t, []string{"v1-c fault crash"}, moments)
}

func TestTruthBeginsWithTheFirstRevision(t *testing.T) {
	t.Parallel()
	d := draw(t, saved(t, "deregister-elsewhere")).Drawing
	require.NotEmpty(t, d.Truth)
	require.Zero(t, d.Truth[0].T)
	require.Empty(t, d.Truth[0].IDs, "nothing is registered yet")
	require.NotZero(t, d.Truth[0].R)
	require.Equal(t, d.Truth[0].R+1, d.Truth[1].R, "the first registration made the next")
}

// A gateway asks its instances in turn: what one of them answers again and again is told once.
func TestWhatRepeatsIsDrawnOnce(t *testing.T) {
	t.Parallel()
	var events []history.Event
	for i := range 3000 {
		at := time.Duration(i) * time.Millisecond
		e := history.Event{Seq: i + 1, At: at, Who: "p1"}
		switch i % 3 {
		case 0:
			e.Range = &history.Range{Key: fmt.Sprint("/other/", i), Source: history.Miss, Revision: 1}
		case 1:
			e.Who, e.Request = "g1", &history.Request{Service: "hello", Target: "v1-a", Status: 200, Answered: "hello"}
		case 2:
			e.Who, e.Request = "g1", &history.Request{Service: "hello", Target: "v1-b", Status: 502}
		}
		events = append(events, e)
	}
	d := draw(t, events).Drawing
	require.Len(t, d.Marks, 3)
	for i, glyph := range []string{"miss", "ok", "bad"} {
		require.Equal(t, glyph, d.Marks[i].G)
		require.Equal(t, 1000, d.Marks[i].N)
	}
}
