package report

import (
	"fmt"
	"sort"
	"strings"
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
	d := &drafter{q: q, answers: verdict.Compare(events, q), lanes: map[string]int{}, keep: map[int]bool{}, runs: map[string]run{}}
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
	d.twins(events)
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

// drafter is a drawing in the making.
type drafter struct {
	drawing
	q       verdict.Question
	answers map[int]verdict.Answer
	zero    time.Duration
	lanes   map[string]int
	keep    map[int]bool
	runs    map[string]run        // of each kind of event of each node, the last: the next joins it if it is alike
	twin    map[int]time.Duration // the time of the gateway's read that a proxy's Range answered, by the Range's Seq
	open    []int                 // bands that have not ended
	writers string                // the lane of whoever writes and is no gateway
}

// run is a mark that more events may join.
type run struct {
	mark  int
	alike string
}

func (d *drafter) us(t time.Duration) int64 { return int64((t - d.zero) / time.Microsecond) }

// other says whether the event belongs to another reading than the one drawn.
func (d *drafter) other(e history.Event) bool {
	return e.Resolve != nil && d.q.Reading != "" && e.Resolve.Reading != "" && e.Resolve.Reading != d.q.Reading
}

// lay finds the lanes: clients on top, then the proxies they go through, then etcd, so that a miss is seen to go further than a hit.
func (d *drafter) lay(events []history.Event) {
	kinds := map[string]string{"truth": "truth"}
	claim := func(name, kind string) {
		if _, taken := kinds[name]; !taken && name != "" {
			kinds[name] = kind
		}
	}
	for _, e := range events {
		switch {
		case e.Range != nil:
			claim(e.Who, "proxy")
		case e.Resolve != nil && !d.other(e):
			claim(e.Who, "gateway")
			claim(e.Resolve.Via, "proxy")
		case e.Request != nil:
			claim(e.Who, "gateway")
		case e.Conn != nil && e.Conn.Op != "open" && e.Conn.Op != "close":
			claim(e.Who, "balancer")
		}
	}
	for _, e := range events {
		if e.Fault != nil && d.node(e.Fault, kinds) == "" {
			claim(strings.Split(e.Fault.Target, "→")[0], "member")
		}
	}
	d.writers = "writers"
	alone := map[string]bool{}
	for _, e := range events {
		if _, taken := kinds[e.Who]; e.Write != nil && !taken && !quiet(e.Write) {
			alone[e.Who] = true
			if len(alone) == 1 {
				d.writers = e.Who
			} else {
				d.writers = "writers"
			}
		}
	}
	if len(alone) > 0 {
		kinds[d.writers] = "writer"
	}
	order := map[string]int{"gateway": 0, "writer": 1, "balancer": 2, "proxy": 3, "member": 4, "truth": 5}
	for name, kind := range kinds {
		d.Lanes = append(d.Lanes, lane{name, kind})
	}
	sort.Slice(d.Lanes, func(i, j int) bool {
		a, b := d.Lanes[i], d.Lanes[j]
		if order[a.Kind] != order[b.Kind] {
			return order[a.Kind] < order[b.Kind]
		}
		return a.Name < b.Name
	})
	for i, l := range d.Lanes {
		d.lanes[l.Name] = i
	}
}

// node is the node of a fault's target, "p2" or a link "p2→m1", that is among names; "" where none is.
func (d *drafter) node(f *history.Fault, names map[string]string) string {
	for _, n := range strings.Split(f.Target, "→") {
		if _, ok := names[n]; ok {
			return n
		}
	}
	return ""
}

// quiet are writes that change no key.
func quiet(w *history.Write) bool { return w.Op == "keepalive" || w.Op == "grant" }

func (d *drafter) truth(events []history.Event) {
	truths, err := verdict.Truths(events, d.q.Service)
	if err != nil {
		d.Note = "truth contradicts itself: " + err.Error()
		return
	}
	for _, t := range truths {
		s := segment{T: max(0, d.us(t.From)), Revision: t.Revision, IDs: []string{}}
		for _, e := range t.Endpoints {
			s.IDs = append(s.IDs, e.ID)
		}
		d.Truth = append(d.Truth, s)
	}
}

// twins pairs each gateway's read with the Range that the proxy noted for it, so that both are drawn at one time.
func (d *drafter) twins(events []history.Event) {
	d.twin = map[int]time.Duration{}
	for i, e := range events {
		r := e.Resolve
		if r == nil || r.Via == "" {
			continue
		}
		for j := i - 1; j >= 0 && events[j].At >= r.Began; j-- {
			x := events[j].Range
			if _, taken := d.twin[events[j].Seq]; x != nil && !taken && events[j].Who == r.Via && x.Source == r.Source &&
				x.Revision == r.Revision && (x.Client == "" || x.Client == e.Who) {
				d.twin[events[j].Seq] = e.At
				break
			}
		}
	}
}

// event adds what e is drawn as.
func (d *drafter) event(e history.Event) {
	m := mark{Seq: e.Seq, T: d.us(e.At), Lane: -1, Who: e.Who}
	if l, ok := d.lanes[e.Who]; ok {
		m.Lane = l
	}
	to := func(name string) {
		if l, ok := d.lanes[name]; ok && name != "" {
			m.To = l + 1
		}
	}
	a := d.answers[e.Seq]
	switch {
	case a.Right:
		m.State = "right"
	case a.Wrong:
		m.State = "wrong"
	}
	stream, alike := "", "" // an event joins the last of its stream if they are alike
	switch {
	case e.Step != nil:
		d.step(e, m)
		return
	case e.Fault != nil:
		d.fault(e, m)
		return
	case e.Resolve != nil:
		if d.other(e) {
			return
		}
		r := e.Resolve
		m.Glyph, m.Rev, m.Text = source(r.Source), r.Revision, d.saysResolve(e, a)
		to(r.Via)
		m.Deep = r.Source == history.Miss || r.Source == history.Member
		if r.Err != "" {
			m.State, m.Label = failed(a), "failed"
			if a.Right {
				m.Label = "refused"
			}
		}
		if a.Wrong {
			m.Label = short(a)
		}
		stream, alike = fmt.Sprint("resolve ", e.Who, r.List), fmt.Sprint(r.Via, r.Source, r.Revision, r.Err, m.State, m.Label, list(r.Endpoints))
	case e.Range != nil:
		r := e.Range
		m.Glyph, m.Rev, m.Text = source(r.Source), r.Revision, d.saysRange(e, a)
		if t, ok := d.twin[e.Seq]; ok {
			m.T = d.us(t)
		} else {
			m.Deep = r.Source == history.Miss
		}
		if r.Err != "" {
			m.State = "failed"
		}
		stream, alike = "range "+e.Who, "others"
		if d.own(r.Key) {
			stream = fmt.Sprint("range ", e.Who, " ", r.Client, " ", r.Key)
			alike = fmt.Sprint(r.Source, r.Serializable, r.End, r.Shape, r.Revision, r.Err, m.State)
			if r.Err == "" {
				d.entry(e, m, a)
			}
		}
	case e.Request != nil:
		r := e.Request
		m.Glyph, m.Text = "ok", saysRequest(e)
		if r.Status != 200 || a.Wrong {
			m.Glyph, m.State, m.Label = "bad", "wrong", fmt.Sprint(r.Status)
			if r.Status == 200 {
				m.Label = "200 from " + r.Answered
			}
		}
		stream, alike = "request "+e.Who, fmt.Sprint(r.Status, r.Dialled, r.Answered, r.Err, m.State)
	case e.Write != nil:
		w := e.Write
		m.Glyph, m.Rev, m.Text = "write", w.Revision, saysWrite(e)
		m.Label = w.Op
		to(w.Via)
		m.Deep = true
		if w.Err != "" {
			m.State, m.Label = "failed", w.Op+" failed"
		}
		if l, ok := d.lanes[d.writers]; ok && m.Lane < 0 {
			m.Lane = l
			m.Label = e.Who + " " + m.Label
		}
		switch {
		case quiet(w):
			m.Lane = -1
			stream, alike = "quiet "+e.Who, fmt.Sprint(w.Op, w.Via, w.Err)
		case !d.own(w.Key):
			stream, alike = "write "+e.Who, fmt.Sprint(w.Op, w.Via, w.Err)
		}
	case e.Commit != nil:
		m.Glyph, m.Lane, m.Rev, m.Text = "commit", -1, e.Commit.Revision, saysCommit(e)
		if !d.own(e.Commit.Key) {
			stream, alike = "commit", "others"
		}
	case e.Truth != nil:
		m.Glyph, m.Lane, m.Rev, m.Text = "truth", d.lanes["truth"], e.Truth.Revision, saysTruth(e)
		stream, alike = "truth", fmt.Sprint(e.Truth.Revision, e.Truth.Err, e.Truth.Service)
	case e.Conn != nil:
		m.Glyph, m.Text = "conn", saysConn(e)
		if m.Lane >= 0 {
			m.Label = e.Conn.Op
		}
		stream, alike = "conn", fmt.Sprint(*e.Conn)
	default:
		return
	}
	d.join(m, stream, alike)
}

// join adds a mark, or lets the last of its stream grow by it where they are alike. An event that is evidence stands alone.
func (d *drafter) join(m mark, stream, alike string) {
	if last, ok := d.runs[stream]; ok && last.alike == alike && !d.keep[m.Seq] {
		r := &d.Marks[last.mark]
		r.N, r.U, r.Last = max(r.N, 1)+1, m.T, m.Seq
		return
	}
	delete(d.runs, stream)
	if stream != "" && !d.keep[m.Seq] {
		d.runs[stream] = run{len(d.Marks), alike}
	}
	if m.Glyph == "write" && stream == "" {
		clear(d.runs) // what was read before a write and what was read after it are different stories
	}
	d.Marks = append(d.Marks, m)
}

// own says whether a key tells something of the service: it is one of its keys, or the registry's whole range.
func (d *drafter) own(key string) bool {
	prefix := "/micro/registry/" + strings.ReplaceAll(d.q.Service, "/", "-") + "/"
	return strings.HasPrefix(key, prefix) || strings.HasPrefix(prefix, key)
}

func (d *drafter) step(e history.Event, m mark) {
	m.Glyph, m.Text = "step", strings.TrimSpace(e.Step.Title+" "+e.Step.Text)
	if e.Step.Phase != "" {
		d.Phases = append(d.Phases, phase{string(e.Step.Phase), m.T})
		m.Text = strings.TrimSpace(string(e.Step.Phase) + ": " + m.Text)
		m.Text = strings.TrimSuffix(m.Text, ":")
		clear(d.runs)
	}
	d.Marks = append(d.Marks, m)
}

// fault draws a band from arm, or from the first fire, to end; what fires inside it is a mark.
func (d *drafter) fault(e history.Event, m mark) {
	f := e.Fault
	l, ok := d.lanes[d.node(f, kindsOf(d.Lanes))]
	if !ok {
		l = -1
	}
	m.Lane, m.Glyph, m.Text = l, "fault", saysFault(e)
	name := strings.TrimSpace(f.Name + " " + f.RPC)
	same := func(b band) bool { return b.Lane == l && b.Text == name }
	var open []int
	found := false
	for _, i := range d.open {
		b := &d.Bands[i]
		switch {
		case same(*b) && f.Op == "end", b.Lane == l && b.Text == "stop" && f.Name == "restart":
			b.U = m.T
		default:
			open = append(open, i)
			found = found || same(*b)
		}
	}
	d.open = open
	lasts := f.Op == "arm" || f.Op == "fire" && d.endsLater(e)
	if lasts && !found && l >= 0 {
		d.open = append(d.open, len(d.Bands))
		d.Bands = append(d.Bands, band{Lane: l, T: m.T, U: -1, Text: name})
		found = true
	}
	switch {
	case f.Op != "fire":
		m.Lane = -1 // the band's ends say it
	case !found:
		m.Label = name
	}
	stream, alike := "fault "+f.Target+f.RPC, fmt.Sprint(*f)
	if last, ok := d.runs[stream]; !ok || last.alike != alike {
		clear(d.runs) // nor are those before and after a fault the same
	}
	d.join(m, stream, alike)
}

// endsLater says whether a fault that fired without having been armed is one that lasts.
func (d *drafter) endsLater(e history.Event) bool {
	switch e.Fault.Name {
	case "restart", "compact", "move-leader", "drain", "drop", "crash", "panic":
		return false
	}
	return true
}

func kindsOf(lanes []lane) map[string]string {
	kinds := map[string]string{}
	for _, l := range lanes {
		kinds[l.Name] = l.Kind
	}
	return kinds
}

// entry lets the bar of a cached answer begin or grow. A miss fills the entry, by linearizable reads too.
func (d *drafter) entry(e history.Event, m mark, a verdict.Answer) {
	prefix := "/micro/registry/" + strings.ReplaceAll(d.q.Service, "/", "-") + "/"
	other := e.Range.Key != prefix
	for i := len(d.Entries) - 1; i >= 0; i-- {
		x := &d.Entries[i]
		if x.Lane != m.Lane || x.Other != other {
			continue
		}
		if x.Revision == e.Range.Revision {
			x.U, x.Wrong = max(m.T, x.T), a.Wrong
			return
		}
		break
	}
	d.Entries = append(d.Entries, entry{Lane: m.Lane, T: m.T, U: m.T, Revision: e.Range.Revision, Wrong: a.Wrong, Other: other})
}

func source(s history.Source) string {
	if s == "" {
		return "none"
	}
	return string(s)
}

func failed(a verdict.Answer) string {
	if a.Right {
		return "right"
	}
	return "failed"
}

// short is what is wrong with an answer in a word or two.
func short(a verdict.Answer) string {
	list := a.Ghosts
	if a.Symptom == verdict.Hidden {
		list = a.Hidden
	}
	s := string(a.Symptom) + " " + strings.Join(list, " ")
	if r := []rune(s); len(r) > 24 {
		s = fmt.Sprintf("%s %s +%d", a.Symptom, list[0], len(list)-1)
	}
	return strings.TrimSpace(s)
}
