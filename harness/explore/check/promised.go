package check

import (
	"slices"

	"ghostroute/harness/history"
	"ghostroute/harness/promise"
)

// Witness is the name of who watches at a member that loses its leader.
const Witness = "witness"

// Lost is that a member lost its leader, and who was to be told, the witness among them, who was. Each watch is the Seq
// of the record that it was asked for.
type Lost struct{ Watches []int }

// promised is a check that promises of package promise are kept, which are broken by these names.
func promised(name, text string, broken ...promise.Name) Check {
	v := verdicts{name, text}
	return Check{Name: name, Promise: text, Watches: true, Judge: func(rec Record) Result {
		breaches, soon := rec.Breaches()
		for _, b := range breaches {
			switch {
			case !slices.Contains(broken, b.Promise):
			case soon && b.Promise.Silence():
				return v.unknown("it is too soon to say: %s", b.Why)
			default:
				return v.broken(b.Events, "%s", b.Why)
			}
		}
		return v.settled(len(rec.Places), "watches")
	}}
}

// Breaches are the promises that were broken to those who watch. With soon, silences among them may end yet.
func (rec Record) Breaches() (list []promise.Breach, soon bool) {
	judge := func(events []history.Event, only func(promise.Name) bool) {
		v := promise.Judge(events, rec.question())
		soon = soon || v.Outcome == "unknown"
		list = append(list, slices.DeleteFunc(v.Breaches, func(b promise.Breach) bool { return !only(b.Promise) })...)
	}
	if len(rec.Places) == 0 {
		return nil, false
	}
	events := rec.byAsker()
	judge(events, func(n promise.Name) bool { return n != promise.Leaderless })
	for _, l := range rec.Lost {
		judge(l.of(events), func(n promise.Name) bool { return n == promise.Leaderless })
	}
	return list, soon
}

// question is about everyone who watches. Who was ever forbidden to read may be refused: how far a member had come with
// that when it refused is not recorded.
func (rec Record) question() (q promise.Question) {
	q.Patience = promise.Patience
	for _, e := range rec.Events {
		if rec.Places[e.Seq] != "" && !slices.Contains(q.Clients, e.Who) {
			q.Clients = append(q.Clients, e.Who)
		}
	}
	for _, g := range rec.Grants {
		if !g.Allowed {
			q.Refused = append(q.Refused, g.User)
		}
	}
	return q
}

// byAsker are the events, each answer of a proxy as of the client that asked for it.
func (rec Record) byAsker() []history.Event {
	events := slices.Clone(rec.Events)
	for i, e := range events {
		if e.Range != nil && e.Range.Client != "" {
			events[i].Who = e.Range.Client
		}
	}
	return events
}

// of are the events without what became of other watches than those that this is about.
func (l Lost) of(events []history.Event) []history.Event {
	asked := map[string]int{}
	return slices.DeleteFunc(slices.Clone(events), func(e history.Event) bool {
		if e.Watch == nil {
			return false
		}
		id := e.Who + " " + e.Watch.Watch
		if e.Watch.Op == history.WatchAsk {
			asked[id] = e.Seq
		}
		return !slices.Contains(l.Watches, asked[id])
	})
}
