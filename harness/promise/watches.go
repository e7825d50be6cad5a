package promise

import (
	"fmt"
	"slices"
	"strings"

	"ghostroute/harness/history"
	"ghostroute/harness/keys"
	"ghostroute/harness/text"
)

// watch is all that became of one watch.
type watch struct {
	history.Watch
	who     string
	seq     int
	created *history.Event
	told    []history.Event // its events
	end     *history.Event
	quit    bool
	again   *history.Event // a second end
	asked   *history.Event // how far it is, and that is not answered
}

func (w *watch) name() string { return fmt.Sprintf("%s's watch %s of %s", w.who, w.Watch.Watch, w.Key) }

// gather are the clients' watches in the order in which they were asked for. A name that is asked for again is another
// watch.
func (j *judge) gather() (all []*watch) {
	open := map[string]*watch{}
	for i, e := range j.events {
		if e.Watch == nil || !j.asks(e.Who) {
			continue
		}
		key := e.Who + "\x00" + e.Watch.Watch
		if e.Watch.Op == history.WatchAsk {
			open[key] = &watch{Watch: *e.Watch, who: e.Who, seq: e.Seq}
			all = append(all, open[key])
		}
		switch w := open[key]; {
		case w == nil:
		case w.end != nil:
			if e.Watch.Op == history.WatchEnd && w.again == nil {
				w.again = &j.events[i]
			}
		case e.Watch.Op == history.WatchInquire:
			w.asked = &j.events[i]
		case e.Watch.Op == history.WatchProgress:
			w.asked = nil
		case e.Watch.Op == history.WatchCreated && w.created == nil:
			w.created = &j.events[i]
		case e.Watch.Op == history.WatchEvents:
			w.told = append(w.told, e)
		case e.Watch.Op == history.WatchEnd:
			w.end = &j.events[i]
		case e.Watch.Op == history.WatchQuit:
			w.quit = true
		}
	}
	return all
}

func (j *judge) watches() (all []Breach) {
	top, since := Reached(j.events)
	for _, w := range j.gather() {
		if w.asked != nil && w.end == nil {
			all = append(all, w.breach(Unanswered, "%s was asked how far it is, and did not say", w.name()).by(*w.asked))
		}
		if w.again != nil && w.again.Watch.Reason != w.end.Watch.Reason {
			all = append(all, w.breach(Belied, "%s ended with %q, and then with %q",
				w.name(), w.end.Watch.Reason, w.again.Watch.Reason).by(*w.end, *w.again))
		}
		all = append(all, j.delivered(w)...)
		all = append(all, j.reason(w)...)
		if c := w.created; c != nil && c.Watch.Revision > top && top > 0 && c.Seq > since && w.end == nil {
			all = append(all, w.breach(Ahead, "%s was created with revision %d, and etcd never came further than %d",
				w.name(), c.Watch.Revision, top).by(*c))
		}
	}
	return all
}

// Reached is the last revision that etcd came to, and the event since which that is so: it may have been set back. It
// is 0 where no change tells.
func Reached(events []history.Event) (top int64, since int) {
	for _, e := range events {
		switch {
		case e.Fault != nil && e.Fault.Kind == history.Rewind && e.Fault.Op == history.Fire:
			top, since = e.Fault.Met, e.Seq
		case e.Commit != nil:
			top = max(top, e.Commit.Revision)
		}
	}
	return top, since
}

// delivered holds what a watch was told of against what was committed in its range from its first revision on.
func (j *judge) delivered(w *watch) []Breach {
	type change struct { // a transaction may put a key and delete it
		revision int64
		key, op  string
	}
	var due []history.Event
	place := map[change]int{}
	from := w.From
	if from == 0 && w.created != nil {
		from = w.created.Watch.Revision + 1
	}
	for _, c := range j.commits {
		if keys.In(c.Commit.Key, w.Key, w.End) && c.Commit.Revision >= from && from > 0 {
			place[change{c.Commit.Revision, c.Commit.Key, c.Commit.Op}] = len(due)
			due = append(due, c)
		}
	}
	next := 0
	for _, e := range w.told {
		for _, ev := range e.Watch.Events {
			if !keys.In(ev.Key, w.Key, w.End) {
				return []Breach{w.breach(Stranger, "%s was told of %s", w.name(), ev.Key).by(e)}
			}
			at, known := place[change{ev.Revision, ev.Key, ev.Op}]
			switch {
			case !known: // the stage's own watch has not reported it yet
			case at < next:
				return []Breach{w.breach(Again, "%s was told of %s at revision %d again", w.name(), ev.Key, ev.Revision).by(e)}
			case at > next:
				c := due[next].Commit
				return []Breach{w.breach(Lost, "%s was told of revision %d and not of the %s of %s at revision %d before it",
					w.name(), ev.Revision, c.Op, c.Key, c.Revision).by(e, due[next])}
			default:
				next = at + 1
			}
		}
	}
	switch {
	case w.end != nil || w.quit:
	case w.created == nil:
		return []Breach{w.breach(Silent, "%s was neither created nor refused%s", w.name(), j.upstream(w))}
	case next < len(due):
		c := due[next].Commit
		return []Breach{w.breach(Silent, "%s was never told of the %s of %s at revision %d, and did not end%s",
			w.name(), c.Op, c.Key, c.Revision, j.upstream(w)).by(*w.created, due[next])}
	}
	return nil
}

// upstream is what the proxies' own watches of a range came to: why a client hears nothing.
func (j *judge) upstream(w *watch) string {
	var order []string
	says := map[string]string{}
	for _, e := range j.events {
		u := e.Watch
		if u == nil || !strings.HasPrefix(u.Watch, e.Who+"'s ") ||
			u.Key != w.Key || u.End != w.End {
			continue
		}
		id := fmt.Sprintf("%s from %d", u.Watch, u.From)
		if _, known := says[id]; !known {
			order = append(order, id)
		}
		as := ""
		if u.As != "" {
			as = ", which carries " + u.As + "'s token,"
		}
		switch {
		case u.Op == history.WatchAsk:
			says[id] = fmt.Sprintf("%s%s asked for it and has no answer", u.Watch, as)
		case u.Op == history.WatchCreated:
			says[id] = fmt.Sprintf("%s%s has it", u.Watch, as)
		case u.Compacted > 0:
			says[id] = fmt.Sprintf("%s%s asked for it from %d and was told that this is compacted", u.Watch, as, u.From)
		case u.Reason != "":
			says[id] = fmt.Sprintf("%s%s asked for it and was told: %s", u.Watch, as, u.Reason)
		default:
			says[id] = fmt.Sprintf("%s%s had it, and it was given up", u.Watch, as)
		}
	}
	if len(order) == 0 {
		return ""
	}
	return ": " + strings.Join(text.Each(order, func(id string) string { return says[id] }), ", ")
}

// reason looks at why a watch ended.
func (j *judge) reason(w *watch) []Breach {
	if w.end == nil {
		return nil
	}
	why := w.end.Watch.Reason
	denied := false
	for _, word := range []string{"permission denied", "invalid auth token", "user name is empty"} {
		denied = denied || strings.Contains(why, word)
	}
	switch {
	case why == "":
		return []Breach{w.breach(Wordless, "%s ended without a word", w.name()).by(*w.end)}
	case w.end.Watch.Compacted > 0 && w.From >= w.end.Watch.Compacted:
		return []Breach{w.breach(Untrue, "%s from revision %d ended as compacted, which is what is before %d",
			w.name(), w.From, w.end.Watch.Compacted).by(*w.end)}
	case strings.Contains(why, "context canceled"):
		return []Breach{w.breach(Untrue, "%s ended with %q, and its client did not cancel it", w.name(), why).by(*w.end)}
	case denied && !slices.Contains(j.Refused, w.who):
		return []Breach{w.breach(Refused, "%s ended with %q, and %s may watch it", w.name(), why, w.who).by(*w.end)}
	}
	return nil
}

// toldOfNoLeader is the first event that tells somebody that a member has no leader.
func (j *judge) toldOfNoLeader() (history.Event, bool) {
	at := slices.IndexFunc(j.events, func(e history.Event) bool {
		return e.Watch != nil && e.Watch.Op == history.WatchEnd && strings.Contains(e.Watch.Reason, "no leader")
	})
	if at < 0 {
		return history.Event{}, false
	}
	return j.events[at], true
}

// leaderless holds watches that require a leader against one that was told that there is none.
func (j *judge) leaderless() (all []Breach) {
	witness, told := j.toldOfNoLeader()
	if !told {
		return nil
	}
	for _, w := range j.gather() {
		if w.Leader && w.end == nil && !w.quit {
			all = append(all, w.breach(Leaderless, "%s requires a leader and was not told that its member has none; %s was",
				w.name(), witness.Who).by(witness))
		}
	}
	return all
}

func (w *watch) breach(p Name, format string, args ...any) Breach {
	return Breach{Promise: p, Client: w.who, Why: fmt.Sprintf(format, args...), Events: []int{w.seq}}
}

func (b Breach) by(events ...history.Event) Breach {
	for _, e := range events {
		b.Events = append(b.Events, e.Seq)
	}
	return b
}
