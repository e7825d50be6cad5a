package notebook

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"ghostroute/harness/text"
)

// Player shows a notebook: prose, each command as it is typed, each answer as it comes. What differs from the file is
// shown beside it and is no failure, for a reader may have changed a line to see what happens. A nil Player shows
// nothing.
//
// The notebook itself runs at its own speed, and the show follows: leases run out while a reader reads, and the story
// would be another.
type Player struct {
	Out    io.Writer
	Colour bool
	Pace   float64 // 1 is a reader's, 2 is half as fast, 0 does not wait
}

// How long a reader at pace 1 takes for a letter, and a hand for one that it types.
const (
	readsLetter = 18 * time.Millisecond
	typesLetter = 35 * time.Millisecond
)

// show is one file that is shown. A nil show shows nothing.
type show struct {
	*Player
	ctx     context.Context // the show is over when it ends
	file    *file
	next    int // the first line that was not shown
	differs int // commands that printed something else than the file says

	todo chan func() // what is to be shown, in order
	over chan struct{}
}

// open begins a show. end must be called.
func (p *Player) open(ctx context.Context, f *file) *show {
	if p == nil {
		return nil
	}
	s := &show{Player: p, ctx: ctx, file: f, todo: make(chan func(), 2*len(f.commands)+1), over: make(chan struct{})}
	go func() {
		defer close(s.over)
		for f := range s.todo {
			if ctx.Err() == nil {
				f()
			}
		}
	}()
	return s
}

// end shows what comes after the last command, and returns when all has been shown.
func (s *show) end(failed bool) {
	if s == nil {
		return
	}
	s.todo <- func() {
		if !failed {
			s.prose(len(s.file.lines))
		}
		if s.differs > 0 {
			fmt.Fprintf(s.Out, "\n%s\n", s.paint(text.Dim,
				text.Count(s.differs, "command")+" printed something else than "+s.file.name()+" says."))
		}
	}
	close(s.todo)
	<-s.over
}

// command shows the prose before a command, and the command with its input.
func (s *show) command(w written) {
	if s == nil {
		return
	}
	s.todo <- func() {
		s.prose(w.at)
		for _, line := range s.file.lines[w.at:w.output] {
			s.typed(line)
		}
		s.next = w.end
	}
}

// answer shows what a command printed, and what the file says where that is something else.
func (s *show) answer(actual, expected []string) {
	if s == nil {
		return
	}
	s.todo <- func() {
		for _, line := range actual {
			fmt.Fprintln(s.Out, "  "+s.marked(line))
			s.rest(line, readsLetter)
		}
		if slices.Equal(actual, expected) {
			return
		}
		s.differs++
		fmt.Fprintln(s.Out, s.paint(text.Dim, "  the file says:"))
		for _, line := range expected {
			fmt.Fprintln(s.Out, s.paint(text.Dim, "  | "+line))
		}
	}
}

// prose shows the lines before that one.
func (s *show) prose(end int) {
	for ; s.next < end; s.next++ {
		line := strings.TrimPrefix(strings.TrimPrefix(s.file.lines[s.next], "#"), " ")
		colour := ""
		if line == strings.ToUpper(line) && line != strings.ToLower(line) {
			colour = text.Bold
		}
		fmt.Fprintln(s.Out, s.paint(colour, line))
		s.rest(line, readsLetter)
	}
}

func (s *show) typed(line string) {
	fmt.Fprint(s.Out, s.paint(text.Cyan, "> "))
	for _, r := range line {
		fmt.Fprint(s.Out, s.paint(text.Cyan, string(r)))
		s.rest(string(r), typesLetter)
	}
	fmt.Fprintln(s.Out)
}

// rest waits as long as a reader needs for a line.
func (s *show) rest(line string, each time.Duration) {
	t := time.NewTimer(time.Duration(float64(len([]rune(line))) * float64(each) * s.Pace))
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.ctx.Done():
	}
}

func (s *show) marked(line string) string {
	for _, word := range []string{"GHOST ", "HIDDEN ", "LEAK ", "SILENT ", ": 502", ": 500", "stale "} {
		if strings.Contains(line, word) {
			return s.paint(text.Red, line)
		}
	}
	if strings.HasPrefix(line, "fresh ") {
		return s.paint(text.Green, line)
	}
	return line
}

func (s *show) paint(colour, line string) string { return text.Paint(s.Colour).In(colour, line) }
