package promise

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/history"
)

// story is a history, made up: c1's watch w of k*, asked for, created at revision 1, and what follows.
type story []history.Event

func (s story) watch(w history.Watch) story {
	w.Watch, w.Key, w.End = "w", "k", "l"
	return append(slices.Clip(s), history.Event{Who: "c1", Watch: &w})
}

func (s story) commit(revision int64, op, key string) story {
	c := &history.Commit{Revision: revision, Op: op, Key: key, Lease: 7}
	return append(slices.Clip(s), history.Event{Who: "m1", Commit: c})
}

func (s story) told(revision int64, key string) story {
	return s.watch(history.Watch{Op: history.WatchEvents, Revision: revision,
		Events: []history.Commit{{Revision: revision, Op: "put", Key: key}}})
}

func (s story) ended(reason string) story {
	return s.watch(history.Watch{Op: history.WatchEnd, Reason: reason})
}

func (s story) write(op string, lease int64, err string) story {
	return append(slices.Clip(s), history.Event{Who: "c1", Write: &history.Write{Op: op, Lease: lease, Err: err}})
}

func (s story) list(revision int64) story {
	return append(slices.Clip(s), history.Event{Who: "c1", Range: &history.Range{Revision: revision}})
}

// judged numbers the events, puts them before patience, and judges them.
func (s story) judged(q Question) Verdict {
	events := append(slices.Clone(s), history.Event{Step: &history.Step{Phase: history.PhaseObserve}},
		history.Event{At: 2 * time.Second, Step: &history.Step{Phase: history.PhaseEnd}})
	for i := range events {
		events[i].Seq = i + 1
		if events[i].At == 0 {
			events[i].At = time.Duration(i) * time.Millisecond
		}
	}
	q.Clients, q.Patience = []string{"c1"}, time.Second
	return Judge(events, q)
}

// stands is a watch that was created at revision 1.
func stands() story {
	return story{}.commit(1, "put", "a").watch(history.Watch{Op: history.WatchAsk}).
		watch(history.Watch{Op: history.WatchCreated, Revision: 1})
}

func TestEachBreachAndWhatIsNone(t *testing.T) {
	t.Parallel()
	two := stands().commit(2, "put", "k1").commit(3, "put", "k2")
	livelock := func(rounds int) (s story) {
		for range rounds {
			s = s.list(2).watch(history.Watch{Op: history.WatchAsk, From: 3}).
				watch(history.Watch{Op: history.WatchEnd, From: 3, Compacted: 5, Reason: "compacted"})
		}
		return s
	}
	keep := story{}.commit(1, "put", "k").write(Keep, 7, "")
	for name, c := range map[string]struct {
		s    story
		q    Question
		want string
	}{
		"all was told":          {s: two.told(2, "k1").told(3, "k2"), want: "kept"},
		"nothing was told":      {s: two, want: "broken silent"},
		"the last was not told": {s: two.told(2, "k1"), want: "broken silent"},
		"it was never created":  {s: story{}.watch(history.Watch{Op: history.WatchAsk}), want: "broken silent"},
		"it was given up":       {s: two.watch(history.Watch{Op: history.WatchQuit}), want: "kept"},
		"it ended and said why": {s: two.ended("compacted"), want: "kept"},
		"it ended as compacted, and is not": {s: two.watch(history.Watch{Op: history.WatchAsk, From: 5}).
			watch(history.Watch{Op: history.WatchEnd, From: 5, Compacted: 5, Reason: "compacted"}).
			told(2, "k1").told(3, "k2"), want: "broken silent untrue"},
		"it ended as cancelled":   {s: two.ended("context canceled"), want: "broken untrue"},
		"it ended without a word": {s: two.ended(""), want: "broken wordless"},
		"it ended twice":          {s: two.ended("compacted").ended("permission denied"), want: "broken belied"},
		"it was refused":          {s: two.ended("permission denied"), want: "broken refused"},
		"it was rightly refused":  {s: two.ended("permission denied"), q: Question{Refused: []string{"c1"}}, want: "kept"},
		"one was left out":        {s: two.told(3, "k2"), want: "broken lost"},
		"a transaction put and deleted a key": {s: stands().commit(2, "put", "k1").commit(2, "delete", "k1").
			watch(history.Watch{Op: history.WatchEvents, Revision: 2, Events: []history.Commit{
				{Revision: 2, Op: "put", Key: "k1"}, {Revision: 2, Op: "delete", Key: "k1"}}}), want: "kept"},
		"one came twice":             {s: two.told(2, "k1").told(2, "k1").told(3, "k2"), want: "broken again"},
		"another's came":             {s: two.commit(4, "put", "z").told(2, "k1").told(4, "z"), want: "broken stranger"},
		"it is said to be further":   {s: stands().watch(history.Watch{Op: history.WatchQuit}), want: "kept"},
		"it is said to be there":     {s: ahead(9), want: "broken ahead"},
		"it is said to be where all": {s: ahead(1), want: "kept"},
		"it was asked how far":       {s: stands().watch(history.Watch{Op: history.WatchInquire}), want: "broken unanswered"},
		"it said how far": {s: stands().watch(history.Watch{Op: history.WatchInquire}).
			watch(history.Watch{Op: history.WatchProgress, Revision: 1}), want: "kept"},
		"three rounds": {s: livelock(3), want: "kept"},
		"four rounds":  {s: livelock(4), want: "broken livelock"},
		"four rounds, and then another is told": {s: append(livelock(4), two.told(2, "k1").told(3, "k2")...),
			want: "broken livelock"},
		"a list that is newer":        {s: append(livelock(3), livelock(4)[0:1].list(6)...), want: "kept"},
		"a client did not end":        {s: story{}.write(Close, 0, "it hangs"), want: "broken hangs"},
		"a client ended":              {s: story{}.write(Close, 0, ""), want: "kept"},
		"a client went astray":        {s: story{}.write(Sync, 0, "refused"), want: "broken astray"},
		"a lease lives":               {s: keep.write(Kept, 7, ""), want: "kept"},
		"a lease is said to be over":  {s: keep.write(Lapsed, 7, ""), want: "broken torn"},
		"a lease ended":               {s: keep.write(Kept, 7, "").commit(2, "delete", "k"), want: "broken torn"},
		"a lease was revoked, untold": {s: keep.write("revoke", 7, ""), want: "broken ended"},
		"a lease was revoked, told":   {s: keep.write("revoke", 7, "").write(Lapsed, 7, ""), want: "kept"},
		"a fault does not show": {s: two, q: Question{Proofs: []Proof{{What: "a fault",
			Shows: func(e history.Event) bool { return e.Fault != nil }}}}, want: "unknown"},
	} {
		require.Equal(t, c.want, c.s.judged(c.q).Label(), name)
	}
}

// ahead is a watch that is created with this revision, where etcd is at 1.
func ahead(revision int64) story {
	return story{}.commit(1, "put", "a").watch(history.Watch{Op: history.WatchAsk}).
		watch(history.Watch{Op: history.WatchCreated, Revision: revision})
}

func TestACounterIsAddedTo(t *testing.T) {
	t.Parallel()
	count := func(s story, revision int64, value string) story {
		c := &history.Commit{Revision: revision, Op: "put", Key: "count/1", Value: value}
		return append(slices.Clip(s), history.Event{Who: "m1", Commit: c})
	}
	adds := func(s story, revision int64) story {
		return append(slices.Clip(s), history.Event{Who: "c1", Write: &history.Write{Op: "txn", Revision: revision}})
	}
	right := adds(count(count(stands(), 2, "1"), 3, "2"), 3)
	require.Equal(t, "kept", right.judged(Question{}).Label())
	wrong := adds(count(count(right, 4, "3"), 5, "2"), 5)
	v := wrong.judged(Question{})
	require.Equal(t, "broken overwrites", v.Label())
	require.Contains(t, v.String(), "c1 added one to count/1, which was 3 since revision 4, and made it 2")
	operators := count(count(right, 4, "3"), 5, "2") // which nobody who is asked about wrote
	require.Equal(t, "kept", operators.judged(Question{}).Label())
}

func TestWhoRequiresALeaderIsHeldAgainstAWitness(t *testing.T) {
	t.Parallel()
	noLeader := &history.Watch{Watch: "w0", Op: history.WatchEnd, Reason: "etcdserver: no leader"}
	requires := story{}.watch(history.Watch{Op: history.WatchAsk, Leader: true}).
		watch(history.Watch{Op: history.WatchCreated, Leader: true})
	witnessed := append(slices.Clip(requires), history.Event{Who: "witness", Watch: noLeader})
	require.Equal(t, "kept", requires.judged(Question{}).Label())
	require.Equal(t, "broken leaderless", witnessed.judged(Question{}).Label())
	require.Equal(t, "kept", witnessed.ended("etcdserver: no leader").judged(Question{}).Label())
}

func TestASilenceIsNoneBeforePatienceIsOver(t *testing.T) {
	t.Parallel()
	events := append(stands().commit(2, "put", "k1"), history.Event{Step: &history.Step{Phase: history.PhaseObserve}},
		history.Event{At: time.Second, Step: &history.Step{Phase: history.PhaseEnd}})
	q := Question{Clients: []string{"c1"}, Patience: 2 * time.Second}
	require.Equal(t, "unknown silent", Judge(events, q).Label())
}

func TestAProxyThatAsksAgainAtOnceIsCounted(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{often: "kept", often + 1: "broken hammered"} {
		var s story
		for range n + 1 {
			ask := history.Watch{Watch: "p1's stream 1", Op: history.WatchAsk, Key: "x"}
			s = append(s, history.Event{Who: "p1", Watch: &ask},
				history.Event{Who: "p1", Watch: &history.Watch{Watch: "p1's stream 1", Op: history.WatchEnd, Key: "x",
					Reason: "permission denied"}})
		}
		require.Equal(t, want, s.judged(Question{Proxies: []string{"p1"}}).Label())
	}
}
