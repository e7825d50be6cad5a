package verdict

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"ghostroute/harness/history"
	"ghostroute/harness/keys"
	"ghostroute/harness/text"
)

// says is the wrong answer as a sentence: what was answered to which gateway, from where, and what was true.
func (t *trial) says(a answer) string {
	if r := a.event.Request; r != nil && r.Dialled == "" {
		return fmt.Sprintf("%s had no instance of %s to pass a request on to, and answered %d", a.event.Who,
			r.Service, r.Status)
	}
	if r := a.event.Request; r != nil && r.Status != 200 {
		return fmt.Sprintf("%s passed a request for %s on to %s at %s, and answered %d", a.event.Who, r.Service,
			text.And(a.Ghosts), r.Dialled, r.Status)
	}
	if r := a.event.Request; r != nil {
		return fmt.Sprintf("%s asked for %s and was answered 200 by %s at %s", a.event.Who, r.Service, r.Answered,
			r.Dialled)
	}
	what, truth := "", a.Truth
	switch {
	case a.Symptom == Leak && len(a.Ghosts) == 0:
		what, truth = ", though truth denies it "+t.Service, 0
	case a.Symptom == Leak:
		what, truth = fmt.Sprintf(" with %s, which truth denies it", text.And(a.Ghosts)), 0
	case len(a.Ghosts) > 0 && len(a.Hidden) > 0:
		what = fmt.Sprintf(" with the ghost of %s and without %s", text.And(a.Ghosts), text.And(a.Hidden))
	case len(a.Ghosts) > 0:
		what = " with the ghost of " + text.And(a.Ghosts)
	default:
		what = " without " + text.And(a.Hidden)
	}
	return fmt.Sprintf("%s was answered%s: %s", a.event.Who, what, a.event.Resolve.Origin(truth))
}

// evidence is what an answer shows.
func (t *trial) evidence(a answer) Evidence {
	e := Evidence{Gateway: a.event.Who, Service: t.Service, Truth: a.Truth, Ghosts: a.Ghosts, Hidden: a.Hidden,
		Events: []int{a.event.Seq}}
	if r := a.event.Resolve; r != nil {
		e.Proxy, e.Source, e.Revision = r.Via, r.Source, r.Revision
		if r.List {
			e.Note = listServices
		}
	}
	if r := a.event.Request; r != nil {
		e.Note = fmt.Sprintf("%d from %s at %s", r.Status, cmp.Or(r.Answered, "no service"), r.Dialled)
	}
	return e
}

// sentence is why the proven wrong answer stays.
func (e Evidence) sentence(t *trial, a answer) string {
	s := t.says(a)
	if e.Note != "" && e.Note != listServices {
		s += "; " + e.Note
	}
	return s + "; nothing that could heal it is pending"
}

// prove looks for the reason why the gateway's last answer will stay wrong. doubt is empty where it found one.
func (t *trial) prove(a answer) (e Evidence, doubt string) {
	e = t.evidence(a)
	if a.event.Request != nil && !t.Requests {
		return e, "its registry reads do not tell where that address came from"
	}
	if n := t.failuresAfter(a); n > 0 {
		return e, fmt.Sprintf("its last %d reads failed, so it is not known what it would be answered", n)
	}
	if over := t.released + t.HealsWithin; a.began() < over {
		return e, fmt.Sprintf("it was last asked %s after %s, and the topology may take %s to heal",
			(a.began() - t.released).Round(time.Millisecond), t.releasedBy, t.HealsWithin)
	}
	r := a.event.Resolve
	if r == nil { // the lookup that the request was passed on by
		for _, ev := range slices.Backward(t.events) {
			if ev.Seq < a.event.Seq && ev.Who == a.event.Who && ev.Resolve != nil && ev.Resolve.Service == t.Service {
				r = ev.Resolve
				e.Proxy, e.Source, e.Revision = r.Via, r.Source, r.Revision
				a.event.Resolve = r
				break
			}
		}
		if r == nil {
			return e, "no lookup tells where that address came from"
		}
	}
	switch {
	case a.Symptom == Leak && r.Source == history.Hit:
		e.Note = fmt.Sprintf("%s answers every identity from its cache", r.Via)
		return e, ""
	case a.Symptom == Leak && r.Source == history.ClientCache:
		return t.proveCopy(a, e)
	case a.Symptom == Leak:
		return e, fmt.Sprintf("%s: no cache answered, so it is truth that does not deny it", r.Origin(0))
	case len(a.Ghosts) == 0 && t.onlyRegistered(a):
		return t.proveSkipped(a, e)
	case r.Source == history.ClientCache:
		return t.proveCopy(a, e)
	case r.Source == "":
		return e, "the answer has no provenance"
	case r.Revision > 0 && r.Revision >= a.Truth && r.Reading == history.GoMicro:
		return t.proveCopy(a, e) // the registry answered right and go-micro's cache did not pass it on
	case r.Source == history.Hit && r.Revision == 0:
		return e, "the hit at " + r.Via + " does not say its entry's revision"
	case r.Source == history.Hit && r.Revision < a.Truth:
		if r.Range > 0 {
			e.Events = append(e.Events, r.Range)
		}
		return e, ""
	case r.Revision > 0 && r.Revision < a.Truth:
		return e, "the member that answered lags, and may catch up"
	default:
		return e, fmt.Sprintf("%s, is not older than truth at %d, so the two contradict each other", r.Origin(0),
			a.Truth)
	}
}

// failuresAfter counts the reads of the same stream that failed after a.
func (t *trial) failuresAfter(a answer) int {
	n := 0
	for _, s := range t.resolves(a.event.Who) {
		for _, later := range s.answers {
			if later.failed && later.event.Seq > a.event.Seq && later.event.Resolve.List == a.event.Resolve.List {
				n++
			}
		}
	}
	return n
}

// onlyRegistered says whether all that a hides was missing from etcd as well: its Register returned nil and put
// nothing.
func (t *trial) onlyRegistered(a answer) bool {
	from, to := t.truths.at(a.began(), a.event.At)
	for _, id := range a.Hidden {
		if !slices.Contains(t.Registered, id) || from < to && t.truths[from].has(id) {
			return false
		}
	}
	return len(a.Hidden) > 0
}

// proveSkipped looks for the lookup that told go-micro's registerNode that its key was still there, when it was not.
func (t *trial) proveSkipped(a answer, e Evidence) (Evidence, string) {
	id := a.Hidden[0]
	for _, w := range slices.Backward(t.events) {
		if w.Write == nil || w.Who != id {
			continue
		}
		if looked, ok := t.record(w.Write.Read); ok && t.misled(looked, keys.Node(t.Service, id)) {
			e.Note = fmt.Sprintf("Register looked %s up and was told that it is there (%s), so it put nothing and returned nil",
				id, origin(looked))
			e.Events = append(e.Events, looked.Seq)
			return e, ""
		}
	}
	return e, fmt.Sprintf("%s is missing from etcd too, though its Register returned nil, "+
		"and no proxy answered its lookup from a cache", id)
}

// misled says whether a cache told of a key that truth no longer had.
func (t *trial) misled(looked history.Event, key string) bool {
	r := looked.Range
	if r.Key != key || r.Source != history.Hit || len(r.Keys) == 0 {
		return false
	}
	from, to := t.truths.at(r.Began, looked.At)
	return from < to && r.Revision < t.truths[from].revision && t.truths[from].keys[key] == nil
}

// proveCopy looks at how go-micro's own cache came by the copy it answers from, and whether it will be rid of it.
// prove has seen that the answer began later than HealsWithin after the release; where HealsWithin is 0 the copy's
// TTL may still be running.
func (t *trial) proveCopy(a answer, e Evidence) (Evidence, string) {
	fill, from, found := t.fill(a)
	if !found {
		return e, "no read shows how its go-micro cache came by that copy"
	}
	e.Events = append(e.Events, fill.Seq)
	e.Proxy, e.Revision = from.Via, from.Revision
	ghostly := from.Source == history.Hit && (from.Revision > 0 && from.Revision < a.Truth || a.Symptom == Leak)
	switch {
	case ghostly && fill.At >= t.released:
		e.Note = fmt.Sprintf("go-micro's cache took it from the registry (%s)", from)
		return e, ""
	case fill.At >= t.released && a.Symptom != Leak:
		if i, to := t.truths.at(a.began(), a.event.At); from.Revision >= a.Truth && i < to &&
			len(t.truths[i].keys) == 0 {
			e.Note = fmt.Sprintf("the registry answered not found (%s), and go-micro's cache keeps its expired copy on any "+
				"error",
				from)
			return e, ""
		}
		return e, fmt.Sprintf("its go-micro cache was filled (%s) and yet it answers otherwise than truth was then",
			from)
	case t.HealsWithin > 0:
		e.Note = fmt.Sprintf("go-micro's cache was filled (%s), has not been since, and its TTL is long over", from)
		return e, ""
	default:
		return e, fmt.Sprintf("its go-micro cache was filled (%s) before %s, and will read again when its TTL is over",
			from, t.releasedBy)
	}
}

// record is the proxy's record of a read, by the number that the answer brought with it.
func (t *trial) record(seq int) (history.Event, bool) {
	e, ok := history.Find(t.events, seq)
	return e, ok && e.Range != nil && e.Range.Err == ""
}

// origin is where the answer came from that a proxy's record is of.
func origin(record history.Event) history.Origin {
	return history.Origin{Source: record.Range.Source, Via: record.Who, Revision: record.Range.Revision}
}

// fill is the read of the registry that the answer's copy was made of: the proxy's record, where the answer names
// one. A member keeps no record of what it answers; then it is what the gateway itself last noted of a read.
func (t *trial) fill(a answer) (history.Event, history.Origin, bool) {
	if e, ok := t.record(a.event.Resolve.Range); ok {
		return e, origin(e), true
	}
	for _, e := range slices.Backward(t.events) {
		r := e.Resolve
		if r != nil && e.Seq <= a.event.Seq && e.Who == a.event.Who && r.Service == t.Service && r.Err == "" &&
			r.Reading == a.event.Resolve.Reading && r.List == a.event.Resolve.List &&
			r.Source != history.ClientCache && r.Source != "" {
			return e, r.Origin(0), true
		}
	}
	return history.Event{}, history.Origin{}, false
}
