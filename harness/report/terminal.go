package report

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"ghostroute/harness/text"
	"ghostroute/harness/verdict"
)

// Options says how the terminal's table is written.
type Options struct {
	Width int        // columns to keep within; 0 means 120, and less than 80 is taken as 80
	Paint text.Paint // the caller's to decide: a terminal, and no NO_COLOR
}

// The least that a scenario's name gets of a line, and what a cell takes: three letters and a space or a "!".
const (
	leastName = 20
	cellWidth = 4
)

// Terminal writes the matrix as a table that keeps within the width, with what the fixes cost and what is not as
// expected below it. The letters say all that the colours do.
func Terminal(w io.Writer, run Run, o Options) error {
	laid, err := run.table()
	if err != nil {
		return err
	}
	if o.Width == 0 {
		o.Width = 120
	}
	o.Width = max(o.Width, 80)
	t := &terminal{table: laid, Options: o}
	t.print("%s\n", t.Paint.In(text.Bold, clean(run.Title)))
	t.print("%s\n\n", run.about())
	for _, l := range legend {
		t.print("%s %-8s %s\n", l.Letter, l.Word, l.Text)
	}
	t.fold("A cell's first letter: gateways that resolve on each request; its second: go-micro's own gateway, with its " +
		"cache " +
		"and watch. The third is the symptom, + one of each.")
	t.matrix()
	t.costs()
	if len(t.Moved) > 0 {
		t.print("\n%s\n", t.Paint.In(text.Bold, fmt.Sprintf("not as expected: %d", len(t.Moved))))
	}
	for _, m := range t.Moved {
		t.fold("  " + m.Key + ": " + clean(m.Text))
	}
	for line := range strings.Lines(t.b.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

type terminal struct {
	table
	Options
	b strings.Builder
}

func (t *terminal) print(format string, args ...any) { fmt.Fprintf(&t.b, format, args...) }

// fold writes a line broken at the width; what goes on is indented by two more.
func (t *terminal) fold(s string) {
	indent := s[:len(s)-len(strings.TrimLeft(s, " "))]
	lines := text.Wrap(s, t.Width-len(indent)-2)
	t.print("%s%s\n", indent, strings.Join(lines, "\n  "+indent))
}

// colours of outcomes: blue, amber and red are told apart by a reader who cannot tell green from red.
var colours = map[string]string{
	string(verdict.Fresh): text.Blue, string(verdict.Heals): text.Amber, string(verdict.Stale): text.BoldRed,
	string(verdict.Unknown): text.BoldMagenta,
}

// matrix writes the table, in as many blocks of columns as the width asks for, each as wide as the others.
func (t *terminal) matrix() {
	all := len(t.Columns)
	if all == 0 {
		return
	}
	most := (t.Width - leastName) / cellWidth
	blocks := (all + most - 1) / most
	fit := (all + blocks - 1) / blocks
	name := leastName
	for _, th := range t.Themes {
		for _, r := range th.Rows {
			name = max(name, min(len(r.Name)+2, t.Width-fit*cellWidth))
		}
	}
	for first := 0; first < all; first += fit {
		last := min(first+fit, all)
		t.print("\n%*s", name, "")
		for _, c := range t.Columns[first:last] {
			t.print("%-*d", cellWidth, c.Number)
		}
		t.print("\n")
		for _, th := range t.Themes {
			t.print("%s\n", t.Paint.In(text.Bold, cut(clean(th.Name), t.Width)))
			for _, r := range th.Rows {
				t.print(" %-*s", name-1, cut(r.Name, name-2))
				for _, q := range r.Squares[first:last] {
					t.square(q)
				}
				t.print("\n")
			}
		}
	}
}

// square writes a cell's letters, each in its outcome's colour.
func (t *terminal) square(q square) {
	code := q.code()
	room := cellWidth - len(code)
	if q.NA {
		code = t.Paint.In(text.Dim, code)
	} else if q.Ran {
		letters, third := "", ""
		for i, h := range q.Halves {
			letters += t.Paint.In(colours[h.Outcome], code[i:i+1])
			if h.Symptom != "" {
				third = colours[h.Outcome]
			}
		}
		code = letters + t.Paint.In(third, code[len(q.Halves):])
	}
	if q.Moved {
		t.print("%s%*s%s", code, room-1, "", t.Paint.In(text.Inverse, "!"))
		return
	}
	t.print("%s%*s", code, room, "")
}

// costs writes the columns' legend: each fix, how much of it is fresh by both readings, and what it costs.
func (t *terminal) costs() {
	heads := [2][]string{{"fresh"}, {""}}
	for _, c := range costColumns {
		heads[0], heads[1] = append(heads[0], c.Short), append(heads[1], c.Unit)
	}
	rows, short := [][]string{}, 0
	for _, c := range t.Columns {
		rows = append(rows, append([]string{c.Both.Fresh()}, c.Costs...))
		short = max(short, len(c.Name))
	}
	widths, room := make([]int, len(heads[0])), t.Width-4
	for i := range widths {
		for _, r := range append(rows, heads[:]...) {
			if i < len(r) {
				widths[i] = max(widths[i], utf8.RuneCountInString(r[i])+2)
			}
		}
		room -= widths[i]
	}
	line := func(number, fix string, cells []string) string {
		s := fmt.Sprintf("%3s %-*s", number, room, cut(fix, room))
		for i, c := range cells {
			s += fmt.Sprintf("%*s", widths[i], c)
		}
		return s
	}
	t.print("\n%s\n", t.Paint.In(text.Bold, line("", "fix", heads[0])))
	t.print("%s\n", line("", "", heads[1]))
	for i, c := range t.Columns {
		label := c.Name
		if room > short+20 {
			label = fmt.Sprintf("%-*s  %s", short, c.Name, clean(c.Title))
		}
		if len(rows[i]) == 1 {
			rows[i] = append(rows[i], "–")
		}
		t.print("%s\n", line(fmt.Sprint(c.Number), label, rows[i]))
	}
}

// cut shortens s to n runes.
func cut(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:max(n-1, 0)]) + "…"
	}
	return s
}

// clean takes out what would move a terminal's cursor or change its colours.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, s)
}
