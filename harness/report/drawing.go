package report

import (
	"slices"
	"time"

	"ghostroute/harness/history"
	"ghostroute/harness/verdict"
)

// drawing is a history as the page draws it: lanes, and on them marks, bands and bars. All that depends on meaning is
// decided here; the page's script only places what it is given. Times are microseconds since the first event.
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

// entry is the life of a proxy's cached answer, as far as its hits show it: from the read that filled it to the last
// hit.
type entry struct {
	Lane     int   `json:"l"`
	T        int64 `json:"t"`
	U        int64 `json:"u"`
	Revision int64 `json:"r"`
	Wrong    bool  `json:"w,omitempty"` // its last hit disagreed with truth
	Other    bool  `json:"o,omitempty"` // it is another range of the service than GetService's
}

// mark is an event, or a run of N that were alike: from T to U, Seq to Last.
type mark struct {
	Seq  int   `json:"q"`
	Last int   `json:"z,omitempty"`
	N    int   `json:"n,omitempty"`
	T    int64 `json:"t"`
	U    int64 `json:"u,omitempty"`
	Lane int   `json:"l"`            // -1: in the list and not in the picture
	To   int   `json:"to,omitempty"` // the lane it went to, plus 1
	Deep bool  `json:"d,omitempty"`  // and on to etcd
	// a history.Source, "write", "ok", "bad", "fault", "conn", "commit", "truth", "step"
	Glyph string `json:"g"`
	State string `json:"s,omitempty"` // "right", "wrong", "failed"
	Label string `json:"x,omitempty"` // a word or two beside it
	Rev   int64  `json:"r,omitempty"`
	Who   string `json:"w"`
	Text  string `json:"y"` // the sentence
}

// drafter is a drawing in the making.
type drafter struct {
	drawing
	q       verdict.Question
	answers map[int]verdict.Answer
	zero    time.Duration
	lanes   map[string]int        // of each node its lane
	keep    map[int]bool          // events that are evidence stand alone
	runs    map[string]run        // of each stream of events the last mark: the next event joins it if it is alike
	read    map[int]time.Duration // of a proxy's Range, when the gateway's read that it answered was over
	open    []int                 // bands that have not ended
}

// run is a mark that more events may join.
type run struct {
	mark  int
	alike string
}

// draw turns a history into a drawing. q says what a right answer is; evidence are events that must stay visible by
// themselves.
func draw(events []history.Event, q verdict.Question, evidence []int) drawing {
	events = slices.Clone(events)
	slices.SortStableFunc(events, func(a, b history.Event) int { return a.Seq - b.Seq })
	if q.Service == "" {
		q.Service = mostAsked(events)
	}
	d := &drafter{q: q, answers: verdict.Compare(events, q), lanes: map[string]int{}, keep: map[int]bool{},
		runs: map[string]run{}, read: map[int]time.Duration{}}
	for _, seq := range evidence {
		d.keep[seq] = true
	}
	for i, e := range events {
		if began := began(e); i == 0 || began < d.zero {
			d.zero = began
		}
		if r := e.Resolve; r != nil && r.Source != history.ClientCache {
			d.read[r.Range] = e.At
		}
	}
	d.lay(events)
	d.truth(events)
	for _, e := range events {
		d.event(e)
	}
	for _, m := range d.Marks {
		d.End = max(d.End, m.T, m.U)
		if len(d.Truth) > 0 && d.Truth[0].Revision == 0 {
			d.Truth[0].Revision = m.Rev // before the first registration it is the first revision that an event shows
		}
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
	}
	return e.At
}

// us is a time of the history in the drawing's.
func (d *drafter) us(t time.Duration) int64 { return int64((t - d.zero) / time.Microsecond) }

func (d *drafter) truth(events []history.Event) {
	truths, err := verdict.Truths(events, d.q.Service)
	if err != nil {
		d.Note = "truth contradicts itself: " + err.Error()
		return
	}
	for _, t := range truths {
		s := segment{T: max(0, d.us(t.From)), Revision: t.Revision, IDs: append([]string{}, history.IDs(t.Endpoints)...)}
		d.Truth = append(d.Truth, s)
	}
}
