package check

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/history"
)

// watched is a record of g1's watch w1 of k1, asked for at p1 and created at revision 1; then what is given, and the
// end of patience. k1 is put at revision 2.
func watched(created int64, then ...history.Event) Record {
	w := func(x history.Watch) history.Event {
		x.Watch, x.Key, x.Leader = "w1", "k1", true
		return history.Event{Who: "g1", Watch: &x}
	}
	all := []history.Event{w(history.Watch{Op: history.WatchAsk}),
		w(history.Watch{Op: history.WatchCreated, Revision: created}),
		{Who: "m1", Commit: &history.Commit{Revision: 2, Op: "put", Key: "k1"}},
		{Who: "m1", Commit: &history.Commit{Revision: 3, Op: "put", Key: "k2"}}}
	for _, e := range then {
		if e.Who == "" {
			e = w(*e.Watch)
		}
		all = append(all, e)
	}
	all = append(all, history.Event{At: ms, Step: &history.Step{Phase: history.PhaseObserve}},
		history.Event{At: time.Hour, Step: &history.Step{Phase: history.PhaseEnd}})
	for i := range all {
		all[i].Seq = i + 1
	}
	return Record{Events: all, Places: map[int]string{1: "p1"}}
}

func events(revision int64, key string) history.Event {
	return history.Event{Watch: &history.Watch{Op: history.WatchEvents, Revision: revision,
		Events: []history.Commit{{Revision: revision, Op: "put", Key: key}}}}
}

func ended(reason string) history.Event {
	return history.Event{Watch: &history.Watch{Op: history.WatchEnd, Reason: reason}}
}

func TestPromisesAboutWatches(t *testing.T) {
	t.Parallel()
	witness := []history.Event{events(2, "k1"),
		{Who: Witness, Watch: &history.Watch{Watch: "m1", Op: history.WatchAsk}},
		{Who: Witness, Watch: &history.Watch{Watch: "m1", Op: history.WatchEnd, Reason: "etcdserver: no leader"}}}
	lost := func(r Record) Record { r.Lost = []Lost{{Watches: []int{1, 6}}}; return r }
	elsewhere := watched(1, witness...)
	elsewhere.Lost = []Lost{{Watches: []int{6}}}
	soon := watched(1)
	soon.Events[len(soon.Events)-1].At = ms
	refused := watched(1, ended("permission denied"))
	forbidden := watched(1, ended("permission denied"))
	forbidden.Grants = []Grant{{User: "g1"}}
	var livelock []history.Event
	for range 4 {
		livelock = append(livelock,
			history.Event{Who: "p1", Range: &history.Range{Client: "g1", Key: "k1", Revision: 2}},
			history.Event{Who: "g1", Watch: &history.Watch{Watch: "w2", Op: history.WatchAsk, Key: "k1", From: 3}},
			history.Event{Who: "g1", Watch: &history.Watch{Watch: "w2", Op: history.WatchEnd, Key: "k1", From: 3, Compacted: 9,
				Reason: "compacted"}})
	}
	for name, c := range map[string]struct {
		check Check
		rec   Record
		want  Outcome
	}{
		"all was told":                {Delivery(), watched(1, events(2, "k1")), Kept},
		"nothing was told":            {Delivery(), watched(1), Broken},
		"it is too soon":              {Delivery(), soon, Unknown},
		"nobody watches":              {Delivery(), Record{}, Unknown},
		"it came twice":               {Delivery(), watched(1, events(2, "k1"), events(2, "k1")), Broken},
		"it ended instead":            {Delivery(), watched(1, ended("compacted")), Kept},
		"its own":                     {OwnRange(), watched(1, events(2, "k1")), Kept},
		"another's":                   {OwnRange(), watched(1, events(2, "k1"), events(3, "k2")), Broken},
		"a reason":                    {Reason(), watched(1, ended("compacted")), Kept},
		"no reason":                   {Reason(), watched(1, ended("")), Broken},
		"refused":                     {Reason(), refused, Broken},
		"refused who was forbidden":   {Reason(), forbidden, Kept},
		"three rounds":                {Meeting(), watched(1, livelock[:9]...), Kept},
		"four rounds":                 {Meeting(), watched(1, livelock...), Broken},
		"a leader was lost, told":     {Leader(), lost(watched(1, append(witness, ended("no leader"))...)), Kept},
		"a leader was lost, untold":   {Leader(), lost(watched(1, witness...)), Broken},
		"a leader was lost elsewhere": {Leader(), elsewhere, Kept},
		"another's leader was lost":   {Leader(), watched(1, witness...), Kept},
		"a Created that is no lie":    {Ahead(), watched(1, events(2, "k1")), Kept},
		"a Created that is too new":   {Ahead(), watched(9), Broken},
		"that somebody is far ahead":  {Delivery(), watched(9), Kept},
	} {
		got := c.check.Judge(c.rec)
		require.Equal(t, c.want, got.Outcome, "%s: %s", name, got.Why)
		require.True(t, c.check.Watches, name)
		if got.Outcome == Broken {
			require.NotNil(t, c.rec.Events[got.Events[0]-1].Watch, "%s: it says which watch", name)
		}
	}
}
