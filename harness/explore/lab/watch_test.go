package lab_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/explore/check"
	"ghostroute/harness/explore/lab"
	"ghostroute/harness/explore/model"
	"ghostroute/harness/explore/plan"
	"ghostroute/harness/history"
)

// tried is what a plan comes to, judged by every promise about watches.
func tried(t *testing.T, text string) lab.Outcome {
	t.Helper()
	p, err := plan.Parse(text)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := newLab(t, lab.Config{}).Try(ctx, p, check.OfWatches())
	require.NoError(t, err, p)
	return out
}

// words are what a client was told of a watch, in the plan's revisions.
func words(out lab.Outcome, client, watch string) (list []string) {
	for _, e := range out.Events {
		w := e.Watch
		if w == nil || e.Who != client || w.Watch != watch {
			continue
		}
		text := string(w.Op)
		for _, ev := range w.Events {
			text += fmt.Sprintf(" %s %s @%d", ev.Op, ev.Key, ev.Revision-out.Record.Base+1)
		}
		if w.Compacted > 0 {
			text += fmt.Sprintf(" compacted @%d", w.Compacted-out.Record.Base+1)
		}
		list = append(list, text)
	}
	return list
}

func broken(out lab.Outcome) (names []string) {
	for _, r := range out.Results {
		if r.Outcome == check.Broken {
			names = append(names, r.Check)
		}
	}
	for _, f := range out.Causes {
		if f.Cause.Breaks() != "convergence" {
			names = append(names, string(f.Cause))
		}
	}
	return names
}

// A watch is told of what later steps commit in its range, from a revision on of what earlier ones did, too, and of
// nothing when it was given up. It survives that its proxy and its member restart. A step is over when that was told.
func TestAWatchIsToldWhatStepsCommit(t *testing.T) {
	out := tried(t, "plan members=3 proxies=1 clients=2 | put g1 m1 k1 | watch g1 p1 w1 k* rev=now | watch g2 m2 w2 k2 |"+
		"put g1 m1 k2 | unwatch w1 | txn g1 p1 then put k2 ; delete k1 | reboot p1 | reboot m2 | put g1 m1 k2")
	require.Empty(t, broken(out))
	require.Equal(t, []string{"ask", "created", "events put k1 @2", "events put k2 @3", "quit"}, words(out, "g1", "w1"))
	require.Equal(t, []string{"ask", "created", "events put k2 @3", "events put k2 @4", "events put k2 @5"},
		words(out, "g2", "w2"))
	steps := 0
	for _, e := range out.Events {
		if e.Step != nil && strings.HasPrefix(e.Step.Text, "5. ") {
			steps = e.Seq
		}
		if e.Watch != nil && e.Who == "g2" && len(e.Watch.Events) > 0 && steps == 0 {
			require.Equal(t, "k2", e.Watch.Events[0].Key)
			steps = -1
		}
	}
	require.Equal(t, true, steps > 0, "w2 was told before the next step began")
}

// A client that follows lists, and watches from the next revision; where that is compacted it lists again. A member's
// list is new each time, a proxy's is not.
func TestAClientThatFollowsListsAgain(t *testing.T) {
	const text = "plan members=1 proxies=1 clients=1 | follow g1 %[1]s w1 k1 | put g1 m1 k1 | put g1 m1 k1 |" +
		"put g1 m1 k1 | compact m1 rev=now | follow g1 %[1]s w2 k1 | put g1 m1 k1"
	out := tried(t, fmt.Sprintf(text, "m1"))
	require.Empty(t, broken(out))
	require.Equal(t, []string{"ask", "created", "events put k1 @5"}, words(out, "g1", "w2"))

	out = tried(t, fmt.Sprintf(text, "p1"))
	require.Equal(t, []string{"meeting", string(model.StaleList)}, broken(out))
	require.Len(t, words(out, "g1", "w2"), 12, "four watches were asked for, were created and ended")
}

// Who is busy reads when the plan is over; what else watches the same range has joined a watch that is over.
func TestWhoIsBusyReadsInTheEnd(t *testing.T) {
	out := tried(t, "plan members=1 proxies=1 clients=2 | put g1 m1 k1 | put g1 m1 k1 | put g1 m1 k1 |"+
		"compact m1 rev=now | watch g1 p1 w1 k1 rev=now-2 idle | watch g2 p1 w2 k1 rev=now | put g1 m1 k1")
	require.Equal(t, []string{"delivery", string(model.Corpse)}, broken(out))
	require.Equal(t, []string{"ask", "created", "end compacted @4"}, words(out, "g1", "w1"))
	require.Equal(t, []string{"ask", "created"}, words(out, "g2", "w2"))
}

// Who requires a leader at a member that is cut off is told that there is none, as the witness was; by way of another
// member nobody needs to be. Through a proxy nobody is.
func TestWhoRequiresALeaderIsHeldAgainstAWitness(t *testing.T) {
	out := tried(t, "plan members=3 proxies=1 clients=2 | watch g1 m1 w1 k1 leader | watch g1 m2 w2 k1 leader |"+
		"watch g2 m1 w3 k1 | cut m1")
	require.Empty(t, broken(out))
	require.Equal(t, []string{"ask", "created", "end"}, words(out, "g1", "w1"))
	require.Len(t, out.Record.Lost, 1)
	require.Len(t, out.Record.Lost[0].Watches, 2)

	out = tried(t, "plan members=3 proxies=1 clients=1 | watch g1 p1 w1 k1 leader | cut m1")
	require.Equal(t, []string{"leader", string(model.LeaderWish)}, broken(out))
	require.Empty(t, tried(t, "plan members=3 proxies=1 clients=1 | watch g1 p1 w1 k1 | cut m1").Record.Lost)
}

// Who may not read may not watch, and it is said so; who watches next by the same proxy is refused with that token.
func TestWhoWatchesIsAUser(t *testing.T) {
	out := tried(t, "plan members=1 proxies=1 clients=2 auth | watch g1 p1 w1 k1 | forbid g1 | watch g1 p1 w2 k2 |"+
		"watch g2 p1 w3 k2")
	require.Equal(t, []string{"delivery", string(model.SharedStream)}, broken(out))
	require.Equal(t, []string{"ask", "end"}, words(out, "g1", "w2"))
	require.Equal(t, []string{"ask"}, words(out, "g2", "w3"))
	for _, e := range out.Events {
		if e.Watch != nil && e.Who == "p1" && e.Watch.Op == history.WatchEnd && e.Watch.Key == "k2" {
			require.Equal(t, "g1", e.Watch.As, "whose token it was is recorded")
		}
	}
}
