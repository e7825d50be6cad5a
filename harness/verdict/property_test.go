package verdict_test

import (
	"fmt"
	"math/rand"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"ghostroute/harness/history"
	"ghostroute/harness/verdict"
)

// irrelevant are events that a verdict on "hello" by reading each-request must not depend on.
func irrelevant(t *rapid.T, at time.Duration) history.Event {
	e := rapid.SampledFrom([]history.Event{
		{Who: "bench", Step: &history.Step{Text: "and so on"}},
		{Who: "lb", Conn: &history.Conn{Op: "open", Client: "g1", Proxy: "p1"}},
		{Who: "m1", Commit: &history.Commit{Revision: 1, Op: "put", Key: "/micro/registry/other/o-1"}},
		{Who: "m1", Truth: &history.Truth{Service: "other", Revision: 1, Endpoints: endpoints([]string{"o-1"})}},
		{Who: "g1", Resolve: &history.Resolve{Service: "other", Reading: "each-request", Via: "p1",
			Source: history.Hit, Revision: 1}},
		{Who: "g2", Resolve: &history.Resolve{Service: "hello", Reading: "go-micro", Via: "p2", Source: history.Hit,
			Revision: 1}},
		{Who: "g9", Resolve: &history.Resolve{Service: "hello", Reading: "each-request", Via: "p2",
			Source: history.Hit, Revision: 1}},
		{Who: "g1", Request: &history.Request{Service: "hello", Status: 502}},
		{Who: "m1", Fault: &history.Fault{Kind: "compact", Op: "fire", Target: "m1"}},
	}).Draw(t, "event")
	e.At = at
	return e
}

// An event about something else changes nothing, wherever it stands, and neither does the order the slice is in.
func TestOtherEventsDoNotMatter(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := rapid.SampledFrom(trials).Filter(func(c trial) bool {
			return c.question.Reading == "each-request" && len(c.story.events) > 0
		}).Draw(t, "trial")
		want := verdict.Judge(c.story.events, c.question)
		// Seq is the tie-breaker, so it grows by tens and the rest goes in between.
		var events []history.Event
		for _, e := range c.story.events {
			e.Seq *= 10
			if e.Resolve != nil {
				r := *e.Resolve
				r.Range *= 10
				e.Resolve = &r
			}
			if e.Write != nil {
				w := *e.Write
				w.Read *= 10
				e.Write = &w
			}
			events = append(events, e)
			for i := range rapid.IntRange(0, 2).Draw(t, "more") {
				other := irrelevant(t, e.At)
				other.Seq = e.Seq + 1 + i
				events = append(events, other)
			}
		}
		rand.New(rand.NewSource(rapid.Int64().Draw(t, "order"))).
			Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
		before := fmt.Sprint(events)
		got := verdict.Judge(events, c.question)
		require.Equal(t, before, fmt.Sprint(events), "Judge changes what it is given")
		for i := range got.Evidence {
			for j := range got.Evidence[i].Events {
				got.Evidence[i].Events[j] /= 10
			}
		}
		if want.Outcome == verdict.Unknown {
			require.Equal(t, want.Label(), got.Label(), "%s",
				got.Why) // a follower of other keys is a follower: the reason may change
			return
		}
		require.Equal(t, want, got)
	})
}

// A later answer that agrees, for everybody and every kind of question that was asked, turns stale into heals; and
// judging twice gives the same.
func TestAgreeingLaterHeals(t *testing.T) {
	t.Parallel()
	var stale []trial
	for _, c := range trials {
		v := verdict.Judge(c.story.events, c.question)
		require.Equal(t, v, verdict.Judge(c.story.events, c.question))
		if v.Outcome == verdict.Stale && v.Symptom != verdict.Leak && len(c.question.Registered) == 0 {
			stale = append(stale, c)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		c := rapid.SampledFrom(stale).Draw(t, "trial")
		v := verdict.Judge(c.story.events, c.question)
		s := &story{events: append([]history.Event(nil), c.story.events...), now: c.story.now, rev: c.story.rev}
		var truth []string
		for _, n := range []string{"v1-a", "v1-a@10.0.0.7:1", "v2-a"} {
			if trulyThere(s.events, n) {
				truth = append(truth, n)
			}
		}
		s.wait(time.Duration(rapid.IntRange(0, 1000).Draw(t, "ms")) * time.Millisecond)
		for _, listing := range []bool{false, true} {
			for _, g := range c.question.Gateways {
				s.miss(g, "p1", truth...).as(func(r *history.Resolve) {
					r.Reading, r.List = c.question.Reading,
						listing && listed(c.story.events, g)
				})
			}
		}
		healed := verdict.Judge(s.events, c.question)
		require.Equal(t, verdict.Heals, healed.Outcome, "%s: %s", c.name, healed.Why)
		require.Equal(t, v.Symptom, healed.Symptom)
	})
}

// trulyThere folds the story's commits and reads with none of the judge's code.
func trulyThere(events []history.Event, name string) bool {
	there := false
	for _, e := range events {
		if c := e.Commit; c != nil && c.Key == prefix+"hello-"+endpoint(name).ID {
			there = c.Op == "put" && c.Value == value(endpoint(name))
		}
		if e.Truth != nil {
			there = fmt.Sprint(e.Truth.Endpoints) == fmt.Sprint([]history.Endpoint{endpoint(name)})
		}
	}
	return there
}

func listed(events []history.Event, g string) bool {
	for _, e := range events {
		if e.Resolve != nil && e.Resolve.List && e.Who == g {
			return true
		}
	}
	return false
}

// Whatever the events, Judge says something and does not fall over.
func TestJudgeAnything(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := &story{}
		for range rapid.IntRange(0, 25).Draw(t, "events") {
			g := rapid.SampledFrom([]string{"g1", "g2"}).Draw(t, "gateway")
			p := rapid.SampledFrom([]string{"p1", "p2", ""}).Draw(t, "proxy")
			id := rapid.SampledFrom([]string{"v1-a", "v2-a"}).Draw(t, "id")
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0:
				s.phase(rapid.SampledFrom([]history.Phase{history.PhaseAct, history.PhaseObserve,
					history.PhaseRelease, history.PhaseEnd}).Draw(t, "phase"))
			case 1:
				s.put(p, id)
			case 2:
				s.commitDel(id)
			case 3:
				s.truth(id)
			case 4:
				s.client(g, id)
			case 5:
				s.fails(g, p, refusal)
			case 6:
				s.ranged("p1", g, history.Miss, true, s.rev, prefix, id)
			case 7:
				s.fault(rapid.SampledFrom([]history.FaultOp{"arm", "fire", "end"}).Draw(t, "op"), "hold", "p1", "Range")
			case 8:
				s.hit(g, p, rapid.Int64Range(0, 5).Draw(t, "revision"), id)
			default:
				s.called(g, "hello", id)
			}
		}
		v := verdict.Judge(s.events, but(func(q *verdict.Question) {
			q.Registered = rapid.SampledFrom([][]string{nil, {"v1-a"}}).Draw(t, "registered")
			q.Denied = rapid.SampledFrom([][]string{nil, {"g2"}}).Draw(t, "denied")
			q.HealsWithin = rapid.SampledFrom([]time.Duration{0, time.Second}).Draw(t, "heals within")
		}))
		require.NotEmpty(t, v.Why)
		if v.Outcome == verdict.Fresh {
			require.Empty(t, v.Symptom)
		}
		if v.Outcome == verdict.Stale || v.Outcome == verdict.Heals {
			require.NotEmpty(t, v.Symptom)
		}
		verdict.Compare(s.events, asked)
	})
}
