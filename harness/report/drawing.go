package report

import (
	"sort"
	"time"

	"ghostroute/harness/history"
	"ghostroute/harness/verdict"
)

// drawing is a history as the page draws it: lanes, and on them marks, bands and bars. All that depends on meaning is decided
// here; the page's script only places what it is given. Times are microseconds since the first event.
type drawing struct {
	Lanes   []lane    `json:"lanes"`
	Phases  []phase   `json:"phases,omitempty"`
	Truth   []segment `json:"truth,omitempty"`
	Entries []entry   `json:"entries,omitempty"`
	Bands   []band    `json:"bands,omitempty"`
	Marks   []mark    `json:"marks"`
	End     int64     `json:"end"`
	Note    string    `json:"note,omitempty"`
}

// lane is one node's line.
type lane struct {
	Name string `json:"n"`
	Kind string `json:"k"` // "gateway", "writer", "balancer", "proxy", "member", "truth"
}

// phase begins at T.
type phase struct {
	Name string `json:"n"`
	T    int64  `json:"t"`
}

// segment is a time in which truth stayed the same.
type segment struct {
	T        int64    `json:"t"`
	Revision int64    `json:"r"`
	IDs      []string `json:"ids"`
}

// entry is the life of a proxy's cached answer, as far as its hits show it: from the read that filled it to the last hit.
type entry struct {
	Lane     int   `json:"l"`
	T        int64 `json:"t"`
	U        int64 `json:"u"`
	Revision int64 `json:"r"`
	Wrong    bool  `json:"w,omitempty"` // its last hit disagreed with truth
	Other    bool  `json:"o,omitempty"` // it is another range of the service than GetService's
}

// band is a fault, from when it was armed until it ended; U is -1 where it did not.
type band struct {
	Lane int    `json:"l"`
	T    int64  `json:"t"`
	U    int64  `json:"u"`
	Text string `json:"x"`
}

// mark is an event, or a run of N that were alike: from T to U, Seq to Last.
type mark struct {
	Seq   int    `json:"q"`
	Last  int    `json:"z,omitempty"`
	N     int    `json:"n,omitempty"`
	T     int64  `json:"t"`
	U     int64  `json:"u,omitempty"`
	Lane  int    `json:"l"`            // -1: in the list and not in the picture
	To    int    `json:"to,omitempty"` // the lane it went to, plus 1
	Deep  bool   `json:"d,omitempty"`  // and on to etcd
	Glyph string `json:"g"`            // "hit", "miss", "member", "client", "write", "ok", "bad", "fault", "conn", "commit", "truth", "step"
	State string `json:"s,omitempty"`  // "right", "wrong", "failed"
	Label string `json:"x,omitempty"`  // a word or two beside it
	Rev   int64  `json:"r,omitempty"`
	Who   string `json:"w"`
	Text  string `json:"y"` // the sentence
}

// draw turns a history into a drawing. q says what a right answer is; evidence are events that must stay visible by themselves.
func draw(events []history.Event, q verdict.Question, evidence []int) drawing {
	events = append([]history.Event(nil), events...)
	sort.SliceStable(events, func(i, j int) bool { return events[i].Seq < events[j].Seq })
	if q.Service == "" {
		q.Service = mostAsked(events)
	}
	d := &drafter{q: q, answers: verdict.Compare(events, q), lanes: map[string]int{}, keep: map[int]bool{}, runs: map[string]run{},
		twin: map[int]time.Duration{}}
	for _, seq := range evidence {
		d.keep[seq] = true
	}
	if len(events) > 0 {
		d.zero = events[0].At
	}
	for _, e := range events {
		d.zero = min(d.zero, began(e))
	}
	d.lay(events)
	d.truth(events)
	for _, e := range events { // a read and the proxy's record of it are drawn at one time
		if r := e.Resolve; r != nil && r.Source != history.ClientCache {
			d.twin[r.Range] = e.At
		}
	}
	for _, e := range events {
		d.event(e)
	}
	d.End = 0
	for _, m := range d.Marks {
		d.End = max(d.End, m.T, m.U)
	}
	return d.drawing
}

// mostAsked is the service that gateways asked for most.
func mostAsked(events []history.Event) string {
	n, most := map[string]int{}, ""
	for _, e := range events {
		if e.Resolve != nil {
			n[e.Resolve.Service]++
			if n[e.Resolve.Service] > n[most] {
				most = e.Resolve.Service
			}
		}
	}
	return most
}

// began is when an event began, if it lasted.
func began(e history.Event) time.Duration {
	switch {
	case e.Range != nil:
		return e.Range.Began
	case e.Write != nil:
		return e.Write.Began
	case e.Resolve != nil:
		return e.Resolve.Began
	case e.Request != nil:
		return e.Request.Began
	default:
		return e.At
	}
}

func kindsOf(lanes []lane) map[string]string {
	kinds := map[string]string{}
	for _, l := range lanes {
		kinds[l.Name] = l.Kind
	}
	return kinds
}
