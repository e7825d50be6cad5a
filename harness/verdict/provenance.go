package verdict

import (
	"fmt"
	"slices"
	"time"

	"ghostroute/harness/history"
	"ghostroute/harness/keys"
)

// says is the wrong answer as a sentence: who was answered what by whom, and what was true.
func (t *trial) says(a answer) string {
	if r := a.event.Request; r != nil {
		return fmt.Sprintf("%s asked for %s and was answered 200 by %s at %s", a.event.Who, r.Service, r.Answered, r.Dialled)
	}
	r := a.event.Resolve
	what := ""
	switch {
	case a.Symptom == Leak && len(a.Ghosts) == 0:
		what = ", though truth denies it " + t.Service
	case a.Symptom == Leak:
		what = fmt.Sprintf(" with %s, which truth denies it", and(a.Ghosts))
	case len(a.Ghosts) > 0 && len(a.Hidden) > 0:
		what = fmt.Sprintf(" with the ghost of %s and without %s", and(a.Ghosts), and(a.Hidden))
	case len(a.Ghosts) > 0:
		what = " with the ghost of " + and(a.Ghosts)
	default:
		what = " without " + and(a.Hidden)
	}
	s := fmt.Sprintf("%s was answered by %s%s", a.event.Who, origin(r), what)
	if a.Truth > 0 && a.Symptom != Leak {
		s += fmt.Sprintf(", while truth was that of r%d", a.Truth)
	}
	return s
}

// origin names where an answer came from.
func origin(r *history.Resolve) string {
	entry := ""
	if r.Revision > 0 {
		entry = fmt.Sprintf(" (r%d)", r.Revision)
	}
	switch r.Source {
	case history.Hit:
		return fmt.Sprintf("a hit at %s (entry of r%d)", r.Via, r.Revision)
	case history.Miss:
		return "a miss at " + r.Via + entry
	case history.Member:
		return "a member" + entry
	case history.ClientCache:
		return "its own go-micro cache"
	default:
		return "an answer of unknown provenance"
	}
}

// evidence is what an answer shows.
func (t *trial) evidence(a answer) Evidence {
	e := Evidence{Gateway: a.event.Who, Service: t.Service, Truth: a.Truth, Ghosts: a.Ghosts, Hidden: a.Hidden, Events: []int{a.event.Seq}}
	if r := a.event.Resolve; r != nil {
		e.Proxy, e.Source, e.Revision = r.Via, r.Source, r.Revision
		if r.List {
			e.Note = listServices
		}
	}
	if r := a.event.Request; r != nil {
		e.Note = fmt.Sprintf("200 from %s at %s", r.Answered, r.Dialled)
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
	if a.event.Request != nil {
		return e, "its registry reads do not tell where that address came from"
	}
	if n := t.failuresAfter(a); n > 0 {
		return e, fmt.Sprintf("its last %d reads failed, so nobody knows what it would be answered", n)
	}
	if over := t.settled + t.HealsWithin; a.began() < over {
		return e, fmt.Sprintf("it was last asked %s after %s, and the topology may take %s to heal", (a.began() - t.settled).Round(time.Millisecond), t.letGo(), t.HealsWithin)
	}
	r := a.event.Resolve
	if a.Symptom == Leak {
		if r.Source == history.Hit {
			e.Note = fmt.Sprintf("%s answers from its cache whoever asks", r.Via)
			return e, ""
		}
		if r.Source == history.ClientCache {
			return t.proveCopy(a, e)
		}
		return e, fmt.Sprintf("it was answered by %s and from no cache, so it is truth that does not deny it", origin(r))
	}
	if len(a.Ghosts) == 0 && t.onlyRegistered(a) {
		return t.proveSkipped(a, e)
	}
	switch {
	case r.Source == history.ClientCache:
		return t.proveCopy(a, e)
	case r.Source == "":
		return e, "the answer has no provenance"
	case r.Revision > 0 && r.Revision >= a.Truth && r.Reading == goMicro:
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
		return e, fmt.Sprintf("%s is not older than r%d, so the answer and truth contradict each other", origin(r), a.Truth)
	}
}

// goMicro is the reading whose gateways keep a copy of what the registry answered.
const goMicro = "go-micro"

// letGo is what settled refers to, in a sentence.
func (t *trial) letGo() string {
	if t.let == "" {
		return "the change was acknowledged"
	}
	return t.let
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

// isRead says whether a Range asks just what GetService of the service asks, or ListServices: it then has their entry in the cache.
func (t *trial) isRead(r *history.Range, list bool) bool {
	key := keys.Service(t.Service)
	if list {
		key = keys.Registry
	}
	return r.Key == key && r.End != "" && r.Shape == ""
}

// onlyRegistered says whether all that a hides was missing from etcd as well: its Register returned nil and put nothing.
func (t *trial) onlyRegistered(a answer) bool {
	from, to := t.truths.at(a.began(), a.event.At)
	for _, id := range a.Hidden {
		if !contains(t.Registered, id) || from < to && t.truths[from].has(id) {
			return false
		}
	}
	return len(a.Hidden) > 0
}

// proveSkipped looks for the lookup that told go-micro's registerNode that its key was still there, when it was not.
func (t *trial) proveSkipped(a answer, e Evidence) (Evidence, string) {
	id := a.Hidden[0]
	key := keys.Node(t.Service, id)
	for _, w := range slices.Backward(t.events) {
		if w.Write == nil || w.Who != id {
			continue
		}
		ev, ok := t.record(w.Write.Read)
		if !ok {
			continue
		}
		r := ev.Range
		if r.Err != "" || r.Key != key || r.Source != history.Hit || len(r.Keys) == 0 {
			continue
		}
		from, to := t.truths.at(r.Began, ev.At)
		if from == to || r.Revision >= t.truths[from].revision || t.truths[from].keys[key] != nil {
			continue
		}
		e.Note = fmt.Sprintf("Register looked %s up and was told by a hit at %s (entry of r%d) that it was there, so it put nothing and returned nil", id, ev.Who, r.Revision)
		e.Events = append(e.Events, ev.Seq)
		return e, ""
	}
	return e, fmt.Sprintf("%s is missing from etcd too, though its Register returned nil, and no proxy answered its lookup from a cache", id)
}

// proveCopy looks at how go-micro's own cache came by the copy it answers from, and whether it will be rid of it. That the answer
// began later than HealsWithin after things settled has been seen to; where HealsWithin is 0 the copy's TTL may still be running.
func (t *trial) proveCopy(a answer, e Evidence) (Evidence, string) {
	fill, found := t.fill(a)
	if !found {
		return e, "no read shows how its go-micro cache came by that copy"
	}
	e.Events = append(e.Events, fill.seq)
	e.Proxy, e.Revision = fill.proxy, fill.revision
	ghostly := fill.source == history.Hit && fill.revision > 0 && fill.revision < a.Truth || a.Symptom == Leak && fill.source == history.Hit
	switch {
	case ghostly && fill.at >= t.settled:
		e.Note = fmt.Sprintf("go-micro's cache was filled by a hit at %s (entry of r%d)", fill.proxy, fill.revision)
		return e, ""
	case fill.at >= t.settled && a.Symptom != Leak:
		if from, to := t.truths.at(a.began(), a.event.At); fill.revision >= a.Truth && from < to && len(t.truths[from].keys) == 0 {
			e.Note = fmt.Sprintf("the registry answered not found at r%d, and go-micro's cache keeps its expired copy on any error", fill.revision)
			return e, ""
		}
		return e, fmt.Sprintf("its go-micro cache was filled by %s at r%d and yet it answers otherwise than truth was then", fill.who(), fill.revision)
	case t.HealsWithin > 0:
		e.Note = fmt.Sprintf("go-micro's cache was filled by %s at r%d, has not been since, and its TTL is long over", fill.who(), fill.revision)
		return e, ""
	default:
		return e, fmt.Sprintf("its go-micro cache was filled at r%d, before %s, and will read again when its TTL is over", fill.revision, t.letGo())
	}
}

// filling is a registry read that go-micro's cache took its copy from.
type filling struct {
	seq      int
	at       time.Duration
	proxy    string
	source   history.Source
	revision int64
}

func (f filling) who() string {
	if f.proxy == "" {
		return "a member"
	}
	return fmt.Sprintf("a %s at %s", f.source, f.proxy)
}

// record is the proxy's record of a read, by the number that the answer brought with it.
func (t *trial) record(seq int) (history.Event, bool) {
	e, ok := history.Find(t.events, seq)
	return e, ok && e.Range != nil
}

// fill is the registry read that the answer's copy was made of: the proxy's record, where the answer names one. A member keeps no
// record of what it answers; then it is what the gateway itself last noted of a read.
func (t *trial) fill(a answer) (filling, bool) {
	if e, ok := t.record(a.event.Resolve.Range); ok {
		return filling{e.Seq, e.At, e.Who, e.Range.Source, e.Range.Revision}, true
	}
	for _, e := range slices.Backward(t.events) {
		r := e.Resolve
		if r != nil && e.Seq <= a.event.Seq && e.Who == a.event.Who && r.Service == t.Service && r.Err == "" &&
			r.Reading == a.event.Resolve.Reading && r.List == a.event.Resolve.List &&
			r.Source != history.ClientCache && r.Source != "" {
			return filling{e.Seq, e.At, r.Via, r.Source, r.Revision}, true
		}
	}
	return filling{}, false
}
