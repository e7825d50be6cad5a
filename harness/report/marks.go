package report

import (
	"cmp"
	"fmt"
	"strings"

	"ghostroute/harness/history"
	"ghostroute/harness/keys"
	"ghostroute/harness/verdict"
)

// event adds what e is drawn as. An event joins the last one of its stream where the two are alike.
func (d *drafter) event(e history.Event) {
	m := mark{Seq: e.Seq, T: d.us(e.At), Lane: d.lane(e.Who), Who: e.Who}
	a := d.answers[e.Seq]
	switch {
	case a.Right:
		m.State = "right"
	case a.Wrong:
		m.State = "wrong"
	}
	stream, alike := "", ""
	switch {
	case e.Step != nil:
		d.step(e.Step, m)
		return
	case e.Fault != nil:
		d.fault(e, m)
		return
	case e.Resolve != nil && d.other(e):
		return
	case e.Resolve != nil:
		stream, alike = d.resolve(e.Resolve, a, &m)
	case e.Range != nil:
		stream, alike = d.ranged(e, a, &m)
	case e.Request != nil:
		stream, alike = request(e.Request, a, &m)
	case e.Write != nil:
		stream, alike = d.write(e.Write, &m)
	case e.Commit != nil:
		m.Glyph, m.Lane, m.Rev, m.Text = "commit", -1, e.Commit.Revision, saysCommit(e.Commit)
		if !d.own(e.Commit.Key) {
			stream, alike = "commit", "others"
		}
	case e.Truth != nil:
		m.Glyph, m.Lane, m.Rev, m.Text = "truth", d.lane("truth"), e.Truth.Revision, saysTruth(e.Truth)
		stream, alike = "truth", fmt.Sprint(e.Truth.Revision, e.Truth.Err, e.Truth.Service)
	case e.Conn != nil:
		m.Glyph, m.Text = "conn", saysConn(e.Conn)
		if m.Lane >= 0 {
			m.Label = e.Conn.Op
		}
		stream, alike = "conn", fmt.Sprint(*e.Conn)
	default:
		return
	}
	d.join(m, stream, alike)
}

// join adds a mark, or has the last of its stream grow by it where they are alike. An event that is evidence stands
// alone.
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

// other says whether the event belongs to another reading than the one drawn.
func (d *drafter) other(e history.Event) bool {
	return d.q.Reading != "" && e.Resolve.Reading != "" && e.Resolve.Reading != d.q.Reading
}

// own says whether a key tells something of the service: it is one of its keys, or the registry's whole range.
func (d *drafter) own(key string) bool {
	prefix := keys.Service(d.q.Service)
	return strings.HasPrefix(key, prefix) || strings.HasPrefix(prefix, key)
}

func (d *drafter) step(s *history.Step, m mark) {
	m.Glyph, m.Text = "step", strings.TrimSpace(s.Title+" "+s.Text)
	if s.Phase != "" {
		d.Phases = append(d.Phases, phase{string(s.Phase), m.T})
		m.Text = strings.TrimSuffix(string(s.Phase)+": "+m.Text, ": ")
		clear(d.runs)
	}
	d.Marks = append(d.Marks, m)
}

func (d *drafter) resolve(r *history.Resolve, a verdict.Answer, m *mark) (stream, alike string) {
	m.Glyph, m.Rev, m.Text = source(r.Source), r.Revision, saysResolve(r, a)
	m.To = d.lane(r.Via) + 1
	m.Deep = r.Source == history.Miss || r.Source == history.Member
	switch {
	case r.Err != "" && a.Right:
		m.Label = "refused"
	case r.Err != "":
		m.State, m.Label = "failed", "failed"
	}
	if a.Wrong {
		m.Label = short(a)
	}
	return fmt.Sprint("resolve ", m.Who, r.List),
		fmt.Sprint(r.Via, r.Source, r.Revision, r.Err, m.State, m.Label, list(r.Endpoints))
}

func (d *drafter) ranged(e history.Event, a verdict.Answer, m *mark) (stream, alike string) {
	r := e.Range
	m.Glyph, m.Rev, m.Text = source(r.Source), r.Revision, saysRange(m.Who, r, a)
	if t, ok := d.read[e.Seq]; ok {
		m.T = d.us(t) // it and the gateway's read that it answered are drawn at one time
	} else {
		m.Deep = r.Source == history.Miss
	}
	if r.Err != "" {
		m.State = "failed"
	}
	if !d.own(r.Key) {
		return "range " + m.Who, "others"
	}
	if r.Err == "" {
		d.entry(r, *m, a)
	}
	return fmt.Sprint("range ", m.Who, " ", r.Client, " ", r.Key),
		fmt.Sprint(r.Source, r.Serializable, r.End, r.Shape, r.Revision, r.Err, m.State)
}

// entry has the bar of a cached answer begin or grow. A miss fills the entry, by linearizable reads too.
func (d *drafter) entry(r *history.Range, m mark, a verdict.Answer) {
	other := r.Key != keys.Service(d.q.Service)
	for i := len(d.Entries) - 1; i >= 0; i-- {
		x := &d.Entries[i]
		if x.Lane != m.Lane || x.Other != other {
			continue
		}
		if x.Revision == r.Revision {
			x.U, x.Wrong = max(m.T, x.T), a.Wrong
			return
		}
		break
	}
	d.Entries = append(d.Entries, entry{Lane: m.Lane, T: m.T, U: m.T, Revision: r.Revision, Wrong: a.Wrong, Other: other})
}

// request joins those that one instance answered alike: a gateway asks its instances in turn.
func request(r *history.Request, a verdict.Answer, m *mark) (stream, alike string) {
	m.Glyph, m.Text = "ok", saysRequest(r)
	if r.Status != 200 || a.Wrong {
		m.Glyph, m.State, m.Label = "bad", "wrong", fmt.Sprint(r.Status)
		if r.Status == 200 {
			m.Label = "200 from " + r.Answered
		}
	}
	return fmt.Sprint("request ", m.Who, r.Dialled, r.Target), fmt.Sprint(r.Status, r.Answered, r.Err, m.State)
}

func (d *drafter) write(w *history.Write, m *mark) (stream, alike string) {
	m.Glyph, m.Rev, m.Text, m.Deep = "write", w.Revision, saysWrite(w), true
	m.Label = w.Op
	m.To = d.lane(w.Via) + 1
	if w.Err != "" {
		m.State, m.Label = "failed", w.Op+" failed"
	}
	m.Label = d.whose(m.Lane, m.Who) + m.Label
	switch {
	case quiet(w):
		m.Lane = -1
		return "quiet " + m.Who, fmt.Sprint(w.Op, w.Via, w.Err)
	case !d.own(w.Key):
		return "write " + m.Who, fmt.Sprint(w.Op, w.Via, w.Err)
	}
	return "", ""
}

func source(s history.Source) string { return cmp.Or(string(s), "none") }

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
