package check

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"ghostroute/harness/explore/plan"
	"ghostroute/harness/history"
	"ghostroute/harness/keys"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const ms = time.Millisecond

// The story of the tests: revision 2 puts instance a of s1 at 10 ms, 3 puts b at 20, 4 deletes a at 30. g1 writes
// through p1.
func story() Record {
	return Record{Base: 1, Complete: true,
		Writes: []Write{
			{Seq: 1, Client: "g1", Via: "p1", Began: 8 * ms, Ended: 10 * ms, Key: s1 + "a", Revision: 2},
			{Seq: 2, Client: "g1", Via: "p1", Began: 18 * ms, Ended: 20 * ms, Key: s1 + "b", Revision: 3},
			{Seq: 3, Client: "g1", Via: "p1", Began: 28 * ms, Ended: 30 * ms, Key: s1 + "a", Revision: 4},
		},
		Commits: []Commit{
			{Seq: 4, At: 11 * ms, Revision: 2, Key: s1 + "a"},
			{Seq: 5, At: 21 * ms, Revision: 3, Key: s1 + "b"},
			{Seq: 6, At: 31 * ms, Revision: 4, Key: s1 + "a", Delete: true},
		},
	}
}

const s1 = keys.Registry + "s1/"

// read is g2 reading all of s1 through p2 for one millisecond from the given one on.
func read(at time.Duration, revision int64, ids ...string) Read {
	r := Read{Seq: 100 + int(at/ms), Client: "g2", Via: "p2", Began: at, Ended: at + ms, Key: s1, End: keys.PrefixEnd(s1),
		Source: history.Hit, Revision: revision, Keys: []string{}}
	for _, id := range ids {
		r.Keys = append(r.Keys, s1+id)
	}
	return r
}

func with(change func(*Read), r Read) Read { change(&r); return r }

func TestChecks(t *testing.T) {
	t.Parallel()
	noMind := func(*Record) {}
	healed := func(r *Record) { r.Healed = 40 * ms }
	for _, c := range []struct {
		name   string
		check  Check
		want   Outcome
		why    string
		change func(*Record)
		reads  []Read
	}{
		{"truth all along", Linearizable(0), Kept, "3 reads", noMind,
			[]Read{read(12*ms, 2, "a"), read(22*ms, 3, "a", "b"), read(32*ms, 4, "b")}},
		{"a ghost that a member tells of", Through(Linearizable(0)), Kept, "1 reads", noMind, []Read{read(22*ms, 3, "a", "b"),
			with(func(r *Read) { r.Via, r.Source = "m1", history.Member }, read(32*ms, 3, "a", "b"))}},
		{"a ghost that a proxy tells of", Through(Linearizable(0)), Broken, "by p2 (hit)", noMind,
			[]Read{read(32*ms, 3, "a", "b")}},
		{"either, while it happens", Linearizable(0), Kept, "", noMind,
			[]Read{read(29*ms, 3, "a", "b"), with(func(r *Read) { r.Client = "g3" }, read(29*ms, 4, "b"))}},
		{"a ghost", Linearizable(0), Broken, "g2 was told " + s1 + "a, " + s1 + "b by p2 (hit) as of revision 3", noMind,
			[]Read{read(32*ms, 3, "a", "b")}},
		{"back and forth while it happens", Linearizable(0), Broken, "in no one order",
			func(r *Record) { r.Writes[2].Began, r.Writes[2].Ended, r.Commits[2].At = 28*ms, 60*ms, 60*ms },
			[]Read{read(32*ms, 4, "b"), read(40*ms, 3, "a", "b")}},
		{"a change missing", Linearizable(0), Unknown, "every change", func(r *Record) { r.Complete = false },
			[]Read{read(32*ms, 3, "a", "b")}},
		{"only failures", Linearizable(0), Unknown, "no reads", noMind,
			[]Read{with(func(r *Read) { r.Err = "unavailable" }, read(32*ms, 0))}},
		{"a write without an answer, done", Linearizable(0), Kept, "",
			func(r *Record) { r.Writes[2].Err, r.Writes[2].Revision = "lost", 0 },
			[]Read{read(32*ms, 4, "b")}},
		{"a write without an answer, seen late", Linearizable(0), Kept, "",
			func(r *Record) { r.Writes[2].Err, r.Writes[2].Revision, r.Commits[2].At = "lost", 0, 50*ms },
			[]Read{read(32*ms, 3, "a", "b"), read(40*ms, 4, "b")}},

		{"forward", Monotonic(), Kept, "1 answers", noMind, []Read{read(12*ms, 2, "a"), read(22*ms, 3, "a", "b")}},
		{"back in time", Monotonic(), Broken, "revision 2, having known revision 3 from an earlier answer", noMind,
			[]Read{read(22*ms, 3, "a", "b"), read(32*ms, 2, "a")}},
		{"two clients", Monotonic(), Unknown, "", noMind,
			[]Read{read(22*ms, 3, "a", "b"), with(func(r *Read) { r.Client = "g3" }, read(32*ms, 2, "a"))}},
		{"at the same time", Monotonic(), Unknown, "", noMind,
			[]Read{read(22*ms, 3, "a", "b"), with(func(r *Read) { r.Seq++ }, read(22*ms, 2, "a"))}},

		{"its own write", OwnWrites(), Kept, "", noMind,
			[]Read{with(func(r *Read) { r.Client = "g1" }, read(32*ms, 4, "b"))}},
		{"before its own write", OwnWrites(), Broken, "revision 3, having known revision 4 from its own write", noMind,
			[]Read{with(func(r *Read) { r.Client = "g1" }, read(32*ms, 3, "a", "b"))}},
		{"another client's write", OwnWrites(), Unknown, "", noMind, []Read{read(32*ms, 3, "a", "b")}},
		{"a write without an answer is no bound", OwnWrites(), Kept, "", func(r *Record) { r.Writes[2].Err = "lost" },
			[]Read{with(func(r *Read) { r.Client = "g1" }, read(32*ms, 3, "a", "b"))}},

		{"old, within the bound", Bounded(10 * ms), Kept, "", noMind, []Read{read(39*ms, 3, "a", "b")}},
		{"too old", Bounded(10 * ms), Broken, "not been true for 20ms", noMind, []Read{read(50*ms, 3, "a", "b")}},
		{"a change missing", Bounded(10 * ms), Unknown, "", func(r *Record) { r.Base = 0 }, []Read{read(50*ms, 3, "a", "b")}},
		{"nothing asked", Bounded(10 * ms), Unknown, "", noMind, nil},

		{"the truth in the end", Convergence(), Kept, "", healed, []Read{read(32*ms, 3, "a", "b"), read(41*ms, 4, "b")}},
		{"a ghost for ever", Convergence(), Broken,
			"g2 is told " + s1 + "a, " + s1 + "b by p2 from its cache as of revision 3; the truth is " + s1 +
				"b as of revision 4",
			healed,
			[]Read{read(41*ms, 3, "a", "b")}},
		{"not yet", Convergence(), Unknown, "not from a cache", healed,
			[]Read{with(func(r *Read) { r.Source = history.Miss }, read(41*ms, 3, "a", "b"))}},
		{"an error in the end", Convergence(), Unknown, "unavailable", healed,
			[]Read{with(func(r *Read) { r.Err = "unavailable" }, read(41*ms, 0))}},
		{"never healed", Convergence(), Unknown, "", noMind, []Read{read(41*ms, 3, "a", "b")}},
		{"asked only before", Convergence(), Unknown, "", healed, []Read{read(32*ms, 3, "a", "b")}},

		{"as of then", Digest(), Kept, "", noMind,
			[]Read{read(50*ms, 3, "a", "b"), with(func(r *Read) { r.At = 2 }, read(51*ms, 4, "a"))}},
		{"never so", Digest(), Broken, "where etcd held " + s1 + "a, " + s1 + "b", noMind, []Read{read(50*ms, 3, "a")}},
		{"never counted so", Digest(), Broken, "", noMind,
			[]Read{with(func(r *Read) { r.Shape.Count, r.Count = true, 3 }, read(50*ms, 3))}},
		{"one of two, as asked", Digest(), Kept, "", noMind,
			[]Read{with(func(r *Read) { r.Shape.Limit = 1 }, read(50*ms, 3, "a"))}},
		{"the wrong one of two", Digest(), Broken, "", noMind,
			[]Read{with(func(r *Read) { r.Shape.Limit = 1 }, read(50*ms, 3, "b"))}},
		{"the right key, an old value", Digest(), Broken, "", noMind,
			[]Read{with(func(r *Read) { r.Mods = []int64{2} }, read(50*ms, 4, "b"))}},
		{"a revision beyond the record", Digest(), Unknown, "", noMind, []Read{read(50*ms, 9, "z")}},

		{"one story", Agreement(), Kept, "", noMind, []Read{read(41*ms, 3, "a", "b"), with(one("a"), read(43*ms, 3, "a"))}},
		{"two stories", Agreement(), Broken, "they differ about " + s1 + "a", noMind,
			[]Read{read(41*ms, 3, "a", "b"), with(one("a"), read(43*ms, 4))}},
		{"two numbers", Agreement(), Broken, "how many", noMind,
			[]Read{read(41*ms, 3, "a", "b"), with(func(r *Read) { r.Shape.Count, r.Count = true, 1 }, read(43*ms, 4))}},
		{"something changed between", Agreement(), Unknown, "", noMind,
			[]Read{read(22*ms, 3, "a", "b"), with(one("a"), read(43*ms, 4))}},
		{"something may have changed between", Agreement(), Unknown, "", func(r *Record) {
			r.Writes = append(r.Writes, Write{Client: "g1", Began: 40 * ms, Ended: 41 * ms, Key: s1 + "c",
				Err: "lost"})
		}, []Read{read(41*ms, 3, "a", "b"), with(one("a"), read(43*ms, 4))}},
		{"two proxies", Agreement(), Unknown, "", noMind,
			[]Read{read(41*ms, 3, "a", "b"), with(func(r *Read) { r.Via = "p1" }, read(43*ms, 4, "b"))}},

		{"may read it", Identity(), Kept, "", grants(Grant{User: "g2", Key: s1, End: keys.PrefixEnd(s1), Allowed: true}),
			[]Read{read(41*ms, 4, "b")}},
		{"may not read it", Identity(), Broken, "g2 was told " + s1 + "b by p2 (hit) and may not read it",
			grants(Grant{User: "g1", Key: s1, End: keys.PrefixEnd(s1), Allowed: true}),
			[]Read{read(41*ms, 4, "b")}},
		{"may no longer read it", Identity(), Broken, "",
			grants(Grant{User: "g2", Key: "\x00", End: "\x00", Allowed: true},
				Grant{From: 40 * ms, User: "g2", Key: "\x00", End: "\x00"}),
			[]Read{read(41*ms, 4, "b")}},
		{"might still while it asked", Identity(), Kept, "",
			grants(Grant{User: "g2", Key: "\x00", End: "\x00", Allowed: true},
				Grant{From: 41*ms + 1, User: "g2", Key: "\x00", End: "\x00"}),
			[]Read{read(41*ms, 4, "b")}},
		{"refused", Identity(), Unknown, "", grants(),
			[]Read{with(func(r *Read) { r.Err = "permission denied" }, read(41*ms, 0))}},
		{"not recorded who may", Identity(), Unknown, "", noMind, []Read{read(41*ms, 4, "b")}},
	} {
		t.Run(c.check.Name+"/"+strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			rec := story()
			rec.Reads = c.reads
			c.change(&rec)
			got := c.check.Judge(rec)
			require.Equal(t, c.want, got.Outcome, got.Why)
			require.Contains(t, got.Why, c.why)
			require.Equal(t, c.check.Promise, got.Promise)
			if c.want == Broken {
				require.ErrorContains(t, got.Error(), "broken promise: "+c.check.Promise)
			} else {
				require.NoError(t, got.Error())
			}
		})
	}
}

func one(id string) func(*Read) {
	return func(r *Read) { r.Key, r.End = s1+id, "" }
}

func grants(list ...Grant) func(*Record) {
	return func(r *Record) { r.Grants = append([]Grant{}, list...) }
}

func TestACheckerThatRunsOutOfTimeSaysUnknown(t *testing.T) {
	t.Parallel()
	rec := Record{Base: 1, Complete: true}
	// Forty changes, each of which may be done at any time, and a read that none of their orders explains.
	for i := range 40 {
		rec.Commits = append(rec.Commits, Commit{At: time.Second, Revision: int64(i + 2), Key: fmt.Sprintf("%s%d", s1, i)})
	}
	rec.Reads = []Read{read(2*ms, 1, "z")}
	got := Linearizable(20 * ms).Judge(rec)
	require.Equal(t, Unknown, got.Outcome, got.Why)
	require.Contains(t, got.Why, "20ms")
}

func TestTheVisualisationIsCapped(t *testing.T) {
	t.Parallel()
	rec := story()
	for i := range 2000 {
		r := read(time.Duration(50+i)*ms, 4, "b")
		r.Via = fmt.Sprintf("p%d", i%30)
		rec.Reads = append(rec.Reads, r)
	}
	rec.Faults = []Band{{Name: "cut", Target: "m1", Began: 5 * ms, Ended: 9 * ms}}
	var page bytes.Buffer
	require.NoError(t, rec.Visualise(&page, "s1", time.Second))
	require.Contains(t, page.String(), "fault: m1")
	require.Contains(t, page.String(), "1601 notes")
	require.Error(t, rec.Visualise(&page, "s9", time.Second), "a service of which there is nothing")
}

func TestARecordIsMadeOfAHistory(t *testing.T) {
	t.Parallel()
	h := history.New()
	h.Add(history.Event{Who: "bench", Fault: &history.Fault{Kind: "cut", Op: "fire", Target: "m1"}})
	h.Add(history.Event{Who: "m1", Commit: &history.Commit{Revision: 3, Op: "delete", Key: "k1"}})
	h.Add(history.Event{Who: "m1", Commit: &history.Commit{Revision: 2, Op: "put", Key: "k1"}})
	h.Add(history.Event{Who: "g1", Write: &history.Write{Op: "put", Key: "k1", Revision: 2, Via: "p1"}})
	h.Add(history.Event{Who: "p1", Range: &history.Range{Client: "g1", Key: "k1", Shape: "limit=1 keys-only rev=2",
		Source: history.Hit, Revision: 3, Keys: []string{"k1"}}})
	h.Add(history.Event{Who: "bench", Fault: &history.Fault{Kind: "cut", Op: "end", Target: "m1"}})
	rec := FromEvents(h.Events())
	require.Len(t, rec.Faults, 1)
	require.Greater(t, rec.Faults[0].Ended, rec.Faults[0].Began)
	require.Equal(t, int64(2), rec.Commits[0].Revision, "commits are in the order of revisions")
	require.Equal(t, plan.Shape{Limit: 1, KeysOnly: true}, rec.Reads[0].Shape)
	require.Equal(t, int64(2), rec.Reads[0].At)
	require.Equal(t, "p1", rec.Reads[0].Via)
	rec.Base, rec.Complete = 1, true
	require.Equal(t, Kept, Digest().Judge(rec).Outcome)
	require.Len(t, All(time.Second, time.Second), 14)
}
