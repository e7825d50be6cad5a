// Package telling turns a history into sentences while it happens, for somebody who has never seen etcd: who did
// what, through which proxy, what each gateway saw, whether the proxy answered from its cache, and what the truth
// was.
package telling

import (
	"fmt"
	"io"
	"os"
	"strings"

	"ghostroute/harness/history"
)

// Teller writes a sentence for each event worth one. Hand its Tell to History.Follow.
type Teller struct {
	out    io.Writer
	colour bool
	quiet  bool   // nothing is told before the first title
	last   string // the last line, which is not told twice in a row: waiting is asking again and again

	truth history.Truth // the last that was read
}

// New returns a teller that writes to out, with colour if it may.
func New(out io.Writer, colour bool) *Teller {
	return &Teller{out: out, colour: colour, quiet: true}
}

// Colour says whether the environment wants colour: GHOSTROUTE_COLOUR=always or never decides; otherwise it is on
// when NO_COLOR is unset (no-color.org) and out is a terminal.
func Colour(out *os.File) bool {
	switch os.Getenv("GHOSTROUTE_COLOUR") {
	case "always":
		return true
	case "never":
		return false
	}
	if os.Getenv("NO_COLOR") != "" {
		return false
	}
	info, err := out.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

const (
	red    = "31"
	green  = "32"
	yellow = "33"
	bold   = "1"
	dim    = "2"
)

func (t *Teller) paint(code, s string) string {
	if !t.colour || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (t *Teller) line(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	if !t.quiet && line != t.last {
		fmt.Fprintln(t.out, line)
		t.last = line
	}
}

// Tell writes the sentence for e, if it deserves one.
func (t *Teller) Tell(e history.Event) {
	switch {
	case e.Step != nil:
		t.step(e.Step)
	case e.Truth != nil:
		t.truthIs(e.Truth)
	case e.Write != nil:
		t.write(e.Who, e.Write)
	case e.Resolve != nil:
		t.resolve(e.Who, e.Resolve)
	case e.Request != nil:
		t.request(e.Request)
	case e.Conn != nil:
		t.conn(e.Conn)
	case e.Fault != nil:
		t.fault(e.Fault)
	}
}

func (t *Teller) step(s *history.Step) {
	if s.Title != "" {
		t.quiet = false
		t.line("\n%s", t.paint(bold, s.Title))
	}
	for _, l := range wrap(s.Text, 110) {
		t.line("  %s", l)
	}
}

func (t *Teller) truthIs(tr *history.Truth) {
	if tr.Err != "" {
		t.line("  %-11s cannot be read: %s", "truth", tr.Err)
		return
	}
	was := t.truth.Revision
	t.truth = *tr
	if was != tr.Revision {
		t.line("  %-11s %s %s", "truth", names(tr.Endpoints),
			t.paint(dim, fmt.Sprintf("(etcd's members agree on it, revision %d)", tr.Revision)))
	}
}

func (t *Teller) write(who string, w *history.Write) {
	did := map[string]string{"put": "registers", "delete": "deregisters"}[w.Op]
	if did == "" {
		return
	}
	via := ""
	if w.Via != "" {
		via = " through " + w.Via
	}
	if w.Err != "" {
		t.line("  %s", t.paint(red, fmt.Sprintf("%-11s %s%s and fails: %s", who, did, via, w.Err)))
		return
	}
	t.line("  %-11s %s%s %s", who, did, via, t.paint(dim, fmt.Sprintf("(revision %d)", w.Revision)))
}

func (t *Teller) resolve(who string, r *history.Resolve) {
	if r.List {
		return
	}
	if r.Err != "" {
		t.line("  %-11s %s", who, t.paint(red, "cannot read the registry: "+r.Err))
		return
	}
	ghosts, hidden := history.Compare(r.Endpoints, t.truth.Endpoints)
	wrong, colour := "", green
	if len(ghosts) > 0 {
		wrong, colour = "  GHOST "+strings.Join(ghosts, " "), red
	}
	if len(hidden) > 0 {
		wrong, colour = wrong+"  HIDDEN "+strings.Join(hidden, " "), red
	}
	from := r.Origin(t.truth.Revision).String()
	t.line("  %-11s is told: %s  %s%s", who, t.paint(colour, pad(names(r.Endpoints), 22)), t.paint(dim, from),
		t.paint(red, wrong))
}

func (t *Teller) request(r *history.Request) {
	switch {
	case r.Err != "":
		t.line("  %-11s %s", "", t.paint(red, r.Err))
	case r.Status != 200 && r.Log != "":
		t.line("  %-11s calls %-6s %s", "", r.Target, t.paint(red, fmt.Sprintf("%d  %s", r.Status, r.Log)))
	case r.Status != 200:
		t.line("  %-11s calls %-6s %s", "", r.Target, t.paint(red, fmt.Sprint(r.Status)))
	case r.Answered != r.Service:
		t.line("  %-11s calls %-6s %s", "", r.Target, t.paint(red,
			fmt.Sprintf("200, but from %q, which is not %q", r.Answered, r.Service)))
	default:
		t.line("  %-11s calls %-6s %s", "", r.Instance, t.paint(green, "200"))
	}
}

func (t *Teller) conn(c *history.Conn) {
	switch c.Op {
	case "open":
		t.line("  %s", t.paint(dim, fmt.Sprintf("%-11s the balancer gives %s to %s", "lb", c.Client, c.Proxy)))
	case "refuse":
		t.line("  %s", t.paint(yellow, fmt.Sprintf("%-11s the balancer finds %s refusing", "lb", c.Proxy)))
	case "weights":
		t.line("  %-11s weights are now %s", "lb", c.Detail)
	}
}

func (t *Teller) fault(f *history.Fault) {
	if f.Op != history.Fire {
		return
	}
	t.line("  %s", t.paint(yellow, strings.TrimRight(fmt.Sprintf("%-11s %s %s %s", f.Target, f.Kind, f.RPC, f.Detail),
		" ")))
}

func names(all []history.Endpoint) string {
	if len(all) == 0 {
		return "nobody"
	}
	var s []string
	for _, e := range all {
		s = append(s, e.ID)
	}
	return strings.Join(s, " ")
}

func pad(s string, n int) string { return fmt.Sprintf("%-*s", n, s) }

// wrap breaks text into lines of at most n runes, at spaces.
func wrap(text string, n int) []string {
	var lines []string
	line, length := "", 0
	for _, w := range strings.Fields(text) {
		l := len([]rune(w))
		if length > 0 && length+1+l > n {
			lines, line, length = append(lines, line), "", 0
		}
		if length > 0 {
			line, length = line+" ", length+1
		}
		line, length = line+w, length+l
	}
	if length > 0 {
		lines = append(lines, line)
	}
	return lines
}
