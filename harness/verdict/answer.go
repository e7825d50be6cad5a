package verdict

import (
	"cmp"
	"sort"
	"strings"
	"time"

	"ghostroute/harness/history"
	"ghostroute/harness/keys"
)

// Answer is how one answer stands to truth.
type Answer struct {
	Right   bool     // it matches some truth that was valid at a moment between its begin and its end
	Wrong   bool     // it matches none; neither Right nor Wrong: it failed, or truth is not known well enough to say
	Symptom Symptom  // set where Wrong
	Ghosts  []string // ids answered that truth lacks, or has at another address
	Hidden  []string // ids that truth has and the answer lacks
	Truth   int64    // the revision at which the truth it was compared with began
}

// Compare holds every answer of a history against truth, as Judge does, and returns what it found by the events' Seq:
// a gateway's Resolve and Request, and what a proxy answered to a Range over the question's service. It needs only
// q.Service; Gateways and the premises of a verdict play no part.
func Compare(events []history.Event, q Question) map[int]Answer {
	events = inOrder(events)
	ts, err := fold(events, q.Service)
	if err != nil {
		return nil
	}
	observe := boundary(events, history.PhaseObserve)
	answers := map[int]Answer{}
	for _, e := range events {
		switch {
		case e.Resolve != nil && e.Resolve.Service == q.Service && (q.Reading == "" || e.Resolve.Reading == q.Reading):
			answers[e.Seq] = resolve(e, ts, q, observe)
		case e.Request != nil && e.Request.Service == q.Service:
			answers[e.Seq] = request(e, ts, q)
		case e.Range != nil && e.Range.Err == "" && covers(e.Range, q.Service):
			answers[e.Seq] = ranged(e, ts, q.Service)
		}
	}
	return answers
}

// inOrder returns events by Seq; a history is in that order anyway, a caller's selection need not be.
func inOrder(events []history.Event) []history.Event {
	sorted := append([]history.Event(nil), events...)
	sort.SliceStable(sorted, func(i, j int) bool { return sorted[i].Seq < sorted[j].Seq })
	return sorted
}

// boundary is the time of the first step of a phase, or beyond every event where there is none.
func boundary(events []history.Event, p history.Phase) time.Duration {
	for _, e := range events {
		if e.Step != nil && e.Step.Phase == p {
			return e.At
		}
	}
	return never
}

// never is beyond every event.
const never = time.Duration(1<<63 - 1)

// refusals are what etcd says when an identity may not read (api/v3rpc/rpctypes/error.go). That it could not be
// reached is none.
var refusals = [...]string{"permission denied", "PermissionDenied", "invalid auth token", "user name is empty",
	"user name not found", "authentication failed"}

func refused(err string) bool {
	for _, r := range refusals {
		if strings.Contains(err, r) {
			return true
		}
	}
	return false
}

// resolve compares a gateway's registry read with truth.
func resolve(e history.Event, ts truths, q Question, observe time.Duration) Answer {
	r := e.Resolve
	judged := r.Began >= observe
	if q.denies(e.Who) {
		switch {
		case refused(r.Err):
			return Answer{Right: true}
		case r.Err == "" && judged:
			a := Answer{Wrong: true, Symptom: Leak}
			if from, to := ts.at(r.Began, e.At); from < to {
				a.Truth = ts[from].revision
			}
			for _, e := range r.Endpoints {
				a.Ghosts = append(a.Ghosts, e.ID) // what it was told and should not have been
			}
			return a
		}
	}
	if r.Err != "" {
		return Answer{}
	}
	return against(ts, r.Began, e.At, func(s state) (ghosts, hidden []string) {
		want := s.endpoints()
		for _, id := range q.Registered {
			if judged && !s.has(id) {
				want = append(want, history.Endpoint{ID: id})
			}
		}
		return history.Compare(r.Endpoints, want)
	})
}

// request finds an answer that came from another service than the one asked for: a reused address.
//
// Where requests are judged, one that failed is wrong while truth has an instance that could have answered.
func request(e history.Event, ts truths, q Question) Answer {
	r := e.Request
	switch {
	case q.Requests && r.Status != 200:
		from, to := ts.at(r.Began, e.At)
		for _, s := range ts[from:to] {
			if len(s.keys) == 0 {
				return Answer{Right: true}
			}
		}
		if from == to {
			return Answer{}
		}
		if r.Dialled == "" { // it was told of no instance
			_, hidden := history.Compare(nil, ts[from].endpoints())
			return Answer{Wrong: true, Symptom: Hidden, Hidden: hidden, Truth: ts[from].revision}
		}
		return Answer{Wrong: true, Symptom: Ghost, Ghosts: []string{r.Target}, Truth: ts[from].revision}
	case r.Status != 200 || r.Answered == "":
		return Answer{}
	case r.Answered != r.Service:
		a := Answer{Wrong: true, Symptom: Ghost, Ghosts: []string{cmp.Or(r.Target, r.Instance)}}
		if from, to := ts.at(r.Began, e.At); from < to {
			a.Truth = ts[from].revision
		}
		return a
	default:
		return Answer{Right: true}
	}
}

// covers says whether the answer to r tells which instances of the service there are.
func covers(r *history.Range, service string) bool {
	for _, part := range [...]string{"limit", "count", "rev"} {
		if strings.Contains(r.Shape, part) {
			return false
		}
	}
	prefix := keys.Service(service)
	return strings.HasPrefix(r.Key, prefix) || strings.HasPrefix(prefix, r.Key) && (r.End == "\x00" || r.End > prefix)
}

// ranged compares the keys a proxy answered with those truth had in the range.
func ranged(e history.Event, ts truths, service string) Answer {
	r := e.Range
	prefix := keys.Service(service)
	var got []history.Endpoint
	for _, k := range r.Keys {
		if strings.HasPrefix(k, prefix) {
			got = append(got, history.Endpoint{ID: instance(k, prefix, service)})
		}
	}
	return against(ts, r.Began, e.At, func(s state) (ghosts, hidden []string) {
		var want []history.Endpoint
		for k := range s.keys {
			if keys.In(k, r.Key, r.End) {
				want = append(want, history.Endpoint{ID: instance(k, prefix, service)})
			}
		}
		return history.Compare(got, want)
	})
}

// instance is the id in a key: go-micro names a node "service-id".
func instance(key, prefix, service string) string {
	return strings.TrimPrefix(strings.TrimPrefix(key, prefix), service+"-")
}

// against compares an answer with each truth that may have been valid between its begin and its end. Where it matches
// none it is Wrong, with the differences from the truth it began under; except that a truth whose commit was reported
// a moment late, and whose write is not in the history, may have begun before the answer ended: then nothing can be
// said.
func against(ts truths, began, ended time.Duration, differences func(state) (ghosts, hidden []string)) Answer {
	from, to := ts.at(began, ended)
	if from == to {
		return Answer{}
	}
	for i := to - 1; i >= from; i-- {
		if g, h := differences(ts[i]); len(g)+len(h) == 0 {
			return Answer{Right: true, Truth: ts[i].revision}
		}
	}
	if to < len(ts) && !ts[to].sent {
		if g, h := differences(ts[to]); len(g)+len(h) == 0 {
			return Answer{}
		}
	}
	a := Answer{Wrong: true, Symptom: Hidden, Truth: ts[from].revision}
	a.Ghosts, a.Hidden = differences(ts[from])
	if len(a.Ghosts) > 0 {
		a.Symptom = Ghost
	}
	return a
}
