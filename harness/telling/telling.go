// Package telling turns a history into sentences while it happens, for a reader who has never seen etcd: what
// happened, through which proxy, what each gateway was told and where that came from, and what the truth was.
package telling

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"ghostroute/harness/history"
	"ghostroute/harness/text"
)

// width is how much of a line the story's own text takes.
const width = 110

// Teller writes a sentence for each event worth one. Hand its Tell to History.Follow.
type Teller struct {
	text.Paint
	out   io.Writer
	begun bool          // a title was told; nothing is before the first
	last  string        // the last line, not told twice in a row: a wait is one read after another
	truth history.Truth // the last that was read
}

// New returns a teller that writes to out, with colour if it may.
func New(out io.Writer, colour bool) *Teller { return &Teller{Paint: text.Paint(colour), out: out} }

// Tell writes the sentence for e, if it deserves one.
func (t *Teller) Tell(e history.Event) {
	switch {
	case e.Step != nil:
		t.step(e.Step)
	case e.Truth != nil:
		t.truthIs(e.Truth)
	case e.Write != nil:
		t.write(e.Who, e.Write)
	case e.Resolve != nil && !e.Resolve.List:
		t.resolve(e.Who, e.Resolve)
	case e.Request != nil:
		t.request(e.Request)
	case e.Conn != nil:
		t.conn(e.Conn)
	case e.Fault != nil && e.Fault.Op == history.Fire:
		f := e.Fault
		t.says(f.Target, t.In(text.Amber, strings.Join(strings.Fields(fmt.Sprint(f.Kind, " ", f.RPC, " ", f.Detail)), " ")))
	}
}

// says writes what is at a node, or of it: names stand in a column of their own.
func (t *Teller) says(who, what string) { t.line(fmt.Sprintf("  %-11s %s", who, what)) }

func (t *Teller) line(line string) {
	if t.begun && line != t.last {
		fmt.Fprintln(t.out, line)
		t.last = line
	}
}

func (t *Teller) step(s *history.Step) {
	if s.Title != "" {
		t.begun = true
		t.line("\n" + t.In(text.Bold, s.Title))
	}
	for _, l := range text.Wrap(s.Text, width) {
		t.line("  " + l)
	}
}

func (t *Teller) truthIs(truth *history.Truth) {
	if truth.Err != "" {
		t.says("truth", "cannot be read: "+truth.Err)
		return
	}
	if t.truth.Revision != truth.Revision {
		agreed := fmt.Sprintf("(etcd's members agree on it, revision %d)", truth.Revision)
		t.says("truth", names(truth.Endpoints)+" "+t.In(text.Dim, agreed))
	}
	t.truth = *truth
}

func (t *Teller) write(who string, w *history.Write) {
	did := map[string]string{"put": "registers", "delete": "deregisters"}[w.Op]
	if did == "" {
		return
	}
	if w.Via != "" {
		did += " through " + w.Via
	}
	if w.Err != "" {
		t.says(who, t.In(text.Red, did+" and fails: "+w.Err))
		return
	}
	t.says(who, did+" "+t.In(text.Dim, fmt.Sprintf("(revision %d)", w.Revision)))
}

func (t *Teller) resolve(who string, r *history.Resolve) {
	if r.Err != "" {
		t.says(who, t.In(text.Red, "cannot read the registry: "+r.Err))
		return
	}
	ghosts, hidden := history.Compare(r.Endpoints, t.truth.Endpoints)
	wrong := ""
	if len(ghosts) > 0 {
		wrong = "  GHOST " + strings.Join(ghosts, " ")
	}
	if len(hidden) > 0 {
		wrong += "  HIDDEN " + strings.Join(hidden, " ")
	}
	colour := text.Green
	if wrong != "" {
		colour = text.Red
	}
	told := t.In(colour, fmt.Sprintf("%-22s", names(r.Endpoints)))
	t.says(who, "is told: "+told+"  "+t.In(text.Dim, r.Origin(t.truth.Revision).String())+t.In(text.Red, wrong))
}

func (t *Teller) request(r *history.Request) {
	called, answer, colour := r.Target, fmt.Sprint(r.Status), text.Red
	switch {
	case r.Err != "":
		t.says("", t.In(text.Red, r.Err))
		return
	case r.Status != 200 && r.Log != "":
		answer += "  " + r.Log
	case r.Status != 200:
	case r.Answered != r.Service:
		answer = fmt.Sprintf("200, but from %q, which is not %q", r.Answered, r.Service)
	default:
		called, colour = r.Instance, text.Green
	}
	t.says("", fmt.Sprintf("calls %-6s %s", called, t.In(colour, answer)))
}

func (t *Teller) conn(c *history.Conn) {
	switch c.Op {
	case "open":
		t.line("  " + t.In(text.Dim, fmt.Sprintf("%-11s the balancer gives %s to %s", "lb", c.Client, c.Proxy)))
	case "refuse":
		t.says("lb", t.In(text.Amber, fmt.Sprintf("the balancer finds %s refusing", c.Proxy)))
	case "weights":
		t.says("lb", "weights are now "+c.Detail)
	}
}

func names(all []history.Endpoint) string {
	return cmp.Or(strings.Join(history.IDs(all), " "), "no instance")
}
