package report

import (
	"sort"
	"strings"
	"time"

	"ghostroute/harness/history"
	"ghostroute/harness/keys"
	"ghostroute/harness/verdict"
)

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
	prefix := keys.Service(d.q.Service)
	return strings.HasPrefix(key, prefix) || strings.HasPrefix(prefix, key)
}
