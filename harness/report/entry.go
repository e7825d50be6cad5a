package report

import (
	"fmt"
	"strings"

	"ghostroute/harness/history"
	"ghostroute/harness/keys"
	"ghostroute/harness/verdict"
)

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
	name := strings.TrimSpace(string(f.Kind) + " " + f.RPC)
	same := func(b band) bool { return b.Lane == l && b.Text == name }
	var open []int
	found := false
	for _, i := range d.open {
		b := &d.Bands[i]
		switch {
		case same(*b) && f.Op == history.End, b.Lane == l && b.Text == "stop" && f.Kind == history.Restart:
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
	stream, alike := "fault "+f.Target+f.RPC, fmt.Sprint(f, f.Op, f.Key, f.Point, f.Detail)
	if last, ok := d.runs[stream]; !ok || last.alike != alike {
		clear(d.runs) // nor are those before and after a fault the same
	}
	d.join(m, stream, alike)
}

// endsLater says whether a fault that fired without having been armed is one that lasts.
func (d *drafter) endsLater(e history.Event) bool {
	return !e.Fault.Kind.Momentary()
}

// entry lets the bar of a cached answer begin or grow. A miss fills the entry, by linearizable reads too.
func (d *drafter) entry(e history.Event, m mark, a verdict.Answer) {
	prefix := keys.Service(d.q.Service)
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
