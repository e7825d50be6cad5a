package report

import (
	"fmt"
	"strings"

	"ghostroute/harness/history"
)

// band is a fault that lasts, from when it was armed until it ended; U is -1 where it did not.
type band struct {
	Lane   int    `json:"l"`
	T      int64  `json:"t"`
	U      int64  `json:"u"`
	Text   string `json:"x"`
	target string
}

// fault draws a band from arm, or from the first fire, to end; what fires inside it is a mark, and so is what is over
// at once.
func (d *drafter) fault(e history.Event, m mark) {
	f := e.Fault
	m.Lane = d.lane(owners(f.Target)...)
	m.Glyph, m.Text = "fault", saysFault(f)
	_, far, _ := strings.Cut(f.Target, "→")
	name := strings.Join(strings.Fields(fmt.Sprintf("%s %s %s", f.Kind, f.RPC, far)), " ")
	within := false
	var open []int
	for _, i := range d.open {
		b := &d.Bands[i]
		same := b.target == f.Target && b.Text == name
		stopped := b.target == f.Target && (b.Text == string(history.Stop) || b.Text == string(history.Kill))
		if stopped && f.Kind == history.Restart || same && f.Op == history.End {
			b.U = m.T
			continue
		}
		open, within = append(open, i), within || same
	}
	d.open = open
	if !within && m.Lane >= 0 && f.Op != history.End && !f.Kind.Momentary() {
		d.open = append(d.open, len(d.Bands))
		d.Bands = append(d.Bands, band{Lane: m.Lane, T: m.T, U: -1, Text: name, target: f.Target})
		within = true
	}
	if f.Op != history.Fire {
		m.Lane = -1 // the band's ends say it
	} else if !within {
		m.Label = d.whose(m.Lane, f.Target) + name
	}
	stream, alike := "fault "+f.Target+f.RPC, fmt.Sprint(f, f.Op, f.Key, f.Point, f.Detail)
	if last, ok := d.runs[stream]; !ok || last.alike != alike {
		clear(d.runs) // nor are events before and after a fault the same story
	}
	d.join(m, stream, alike)
}
