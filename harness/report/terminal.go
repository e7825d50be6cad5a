package report

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"ghostroute/harness/verdict"
)

// Options says how the terminal's table is written.
type Options struct {
	Width int  // columns to keep within; 0 means 120, and less than 80 is taken as 80
	Color bool // the caller's to decide: a terminal, and no NO_COLOR
}

// The least and the most that a scenario's name gets of a line, and what a cell takes: three letters and a space or a "!".
const (
	leastName = 20
	mostName  = 44
	cellWidth = 4
)

// Terminal writes the matrix as a table that keeps within the width, with what the fixes cost and what is not as expected below it.
// The letters say all that the colours do.
func Terminal(w io.Writer, run Run, o Options) error {
	if err := run.Check(); err != nil {
		return err
	}
	if o.Width == 0 {
		o.Width = 120
	}
	o.Width = max(o.Width, 80)
	t := &terminal{run: run, Options: o}
	t.print("%s\n", t.bold(clean(run.Title)))
	t.print("%s\n\n", run.about())
	for _, l := range legend() {
		t.fold("", l)
	}
	t.matrix()
	t.costs()
	t.surprises()
	for line := range strings.Lines(t.b.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

type terminal struct {
	Options
	run Run
	b   strings.Builder
}

func (t *terminal) print(format string, args ...any) { fmt.Fprintf(&t.b, format, args...) }

func (t *terminal) paint(sgr, s string) string {
	if !t.Color || s == "" {
		return s
	}
	return "\x1b[" + sgr + "m" + s + "\x1b[0m"
}

func (t *terminal) bold(s string) string { return t.paint("1", s) }

// colour is an outcome's: blue, yellow and red are told apart by whoever cannot tell green from red.
func (t *terminal) colour(o verdict.Outcome, s string) string {
	switch o {
	case verdict.Fresh:
		return t.paint("34", s)
	case verdict.Heals:
		return t.paint("33", s)
	case verdict.Stale:
		return t.paint("1;31", s)
	default:
		return t.paint("1;35", s)
	}
}

// matrix writes the table, in as many blocks of columns as the width asks for.
func (t *terminal) matrix() {
	name := leastName
	for _, s := range t.run.Scenarios {
		name = max(name, utf8.RuneCountInString(s.Name)+2)
	}
	all := len(t.run.Fixes)
	if left := t.Width - all*cellWidth; left < name {
		name = max(left, leastName)
	}
	name = min(name, mostName)
	fit := (t.Width - name) / cellWidth
	cell := t.run.cell()
	for first := 0; first < all; first += fit {
		fixes := t.run.Fixes[first:min(first+fit, all)]
		t.print("\n%*s", name, "")
		for i := range fixes {
			t.print("%-*d", cellWidth, first+i+1)
		}
		t.print("\n")
		for _, th := range t.run.themes() {
			t.print("%s\n", t.bold(cut(clean(th.Name), t.Width)))
			for _, s := range th.Scenarios {
				t.print("  %-*s", name-2, cut(s.Name, name-3))
				for _, f := range fixes {
					c, ok := cell(s.Name, f.Name)
					t.cell(c, ok)
				}
				t.print("\n")
			}
		}
	}
}

// cell writes a cell's letters, each in its outcome's colour.
func (t *terminal) cell(c Cell, ran bool) {
	if !ran {
		t.print("%-*s", cellWidth, "")
		return
	}
	code := c.code()
	var symptom verdict.Outcome
	for i, name := range [...]string{EachRequest, GoMicro} {
		r, ok := c.Reading(name)
		if !ok || i >= len(code) {
			continue
		}
		if r.Verdict.Symptom != verdict.None {
			symptom = r.Verdict.Outcome
		}
	}
	width := len(code)
	if c.NA != "" {
		t.print("%s", t.paint("2", code))
	} else {
		for i, name := range [...]string{EachRequest, GoMicro} {
			r, _ := c.Reading(name)
			t.print("%s", t.colour(r.Verdict.Outcome, code[i:i+1]))
		}
		if len(code) > 2 {
			t.print("%s", t.colour(symptom, code[2:]))
		}
	}
	if c.Moved() {
		t.print("%*s%s", 3-width, "", t.paint("7", "!"))
		return
	}
	t.print("%*s", cellWidth-width, "")
}

// costs writes the columns' legend: each fix, how much of it is fresh by both readings, and what it costs.
func (t *terminal) costs() {
	tallies := t.run.tallies()
	const figures = "%7s%8s%8s%8s%13s%10s%9s"
	name := t.Width - 4 - 63
	t.print("\n%s\n", t.bold(strings.TrimRight(fmt.Sprintf("%3s %-*s"+figures, "", name, "fix", "fresh", "p50 ms", "p99 ms", "Ranges", "errors when", "recovery", "members"), " ")))
	t.print("%s\n", strings.TrimRight(fmt.Sprintf("%3s %-*s"+figures, "", name, "", "", "", "", "/1000", "a proxy dies", "ms", "hidden"), " "))
	for i, f := range t.run.Fixes {
		tl := tallies[f.Name]
		fresh := fmt.Sprintf("%d/%d", tl.Fresh, tl.applies())
		label := clean(f.Title)
		if label == "" {
			label = f.Name
		}
		t.print("%3d %-*s", i+1, name, cut(label, name-1))
		if c := f.Costs; c != nil {
			t.print(figures, fresh, c.p50(), c.p99(), c.ranges(), c.errors(), c.recovery(), c.hidden())
		} else {
			t.print("%7s  not measured", fresh)
		}
		t.print("\n")
	}
}

// surprises writes what is not as expected, and why it is as it is.
func (t *terminal) surprises() {
	all := t.run.surprises()
	if len(all) == 0 {
		return
	}
	t.print("\n%s\n", t.bold(fmt.Sprintf("not as expected: %d", len(all))))
	for _, s := range all {
		t.fold("  ", fmt.Sprintf("%s: expected %s, got %s", s.name(), clean(s.Reading.Expected), clean(s.Reading.Verdict.String())))
	}
}

// fold writes a line that is broken at spaces where it gets too long; what goes on is indented by two more.
func (t *terminal) fold(indent, s string) {
	line := indent
	for _, word := range strings.SplitAfter(s, " ") {
		if utf8.RuneCountInString(line)+utf8.RuneCountInString(strings.TrimRight(word, " ")) > t.Width && strings.TrimSpace(line) != "" {
			t.print("%s\n", strings.TrimRight(line, " "))
			line = indent + "  "
		}
		for utf8.RuneCountInString(line)+utf8.RuneCountInString(strings.TrimRight(word, " ")) > t.Width {
			r := []rune(word)
			n := t.Width - utf8.RuneCountInString(line)
			t.print("%s%s\n", line, string(r[:n]))
			line, word = indent+"  ", string(r[n:])
		}
		line += word
	}
	t.print("%s\n", strings.TrimRight(line, " "))
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
