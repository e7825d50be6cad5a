package notebook

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/cockroachdb/datadriven"
)

// Player shows a notebook: prose, each command as it is typed, each answer as it comes. What differs from the file is shown beside it and
// is no failure: who plays a notebook may have changed a line to see what happens. A nil Player shows nothing.
//
// The notebook itself runs at its own speed, and the show follows: leases run out while somebody reads, and the story would be another.
type Player struct {
	Out    io.Writer
	Colour bool
	Pace   float64 // 1 is a reader's, 2 is half as fast, 0 does not wait

	ctx     context.Context // the show is over when it ends
	path    string
	lines   []string
	next    int // the first line that was not shown
	differs int

	show chan func() // what is to be shown, in order
	over chan struct{}
}

// How long a reader at pace 1 takes for a letter, and a hand for one that it types.
const (
	readsLetter = 18 * time.Millisecond
	typesLetter = 35 * time.Millisecond
)

// open begins a show. end must be called.
func (p *Player) open(ctx context.Context, path string) {
	if p == nil {
		return
	}
	p.ctx, p.path, p.lines, p.next, p.differs = ctx, path, nil, 0, 0
	if text, err := os.ReadFile(path); err == nil { // if not, datadriven says so
		p.lines = strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	}
	// Each line of the file is shown once, and each command and answer is one more.
	p.show, p.over = make(chan func(), 3*len(p.lines)+3), make(chan struct{})
	go func() {
		defer close(p.over)
		for f := range p.show {
			if ctx.Err() == nil {
				f()
			}
		}
	}()
}

// end shows what comes after the last command, and returns when all has been shown.
func (p *Player) end(failed bool) {
	if p == nil {
		return
	}
	p.show <- func() {
		for ; p.next < len(p.lines) && !failed; p.next++ {
			p.prose(p.lines[p.next])
		}
		if p.differs > 0 {
			fmt.Fprintf(p.Out, "\n%s\n", p.paint(dim, fmt.Sprintf("%d %s printed something else than %s says.",
				p.differs, plural(p.differs, "command", "commands"), place(p.path))))
		}
	}
	close(p.show)
	<-p.over
}

// command shows the prose before a command, and the command.
func (p *Player) command(d *datadriven.TestData) {
	if p == nil {
		return
	}
	n, _ := strconv.Atoi(d.Pos[strings.LastIndexByte(d.Pos, ':')+1:])
	p.show <- func() {
		for p.next < min(n-1, len(p.lines)) {
			p.prose(p.lines[p.next])
			p.next++
		}
		for p.next < len(p.lines) && p.lines[p.next] != "----" { // what it takes as input is typed, too
			p.typed(p.lines[p.next])
			p.next++
		}
		for p.next < len(p.lines) && p.lines[p.next] != "" { // what it printed when the file was written
			p.next++
		}
	}
}

// answer shows what a command printed.
func (p *Player) answer(actual, expected string) {
	if p == nil {
		return
	}
	p.show <- func() {
		for _, line := range lines(actual) {
			fmt.Fprintln(p.Out, "  "+p.marked(line))
			p.rest(len([]rune(line)), readsLetter)
		}
		if actual != expected {
			p.differs++
			fmt.Fprintln(p.Out, p.paint(dim, "  the file says:"))
			for _, line := range lines(expected) {
				fmt.Fprintln(p.Out, p.paint(dim, "  | "+line))
			}
		}
	}
}

func (p *Player) prose(line string) {
	text := strings.TrimPrefix(strings.TrimPrefix(line, "#"), " ")
	if text != "" && text == strings.ToUpper(text) && text != strings.ToLower(text) {
		fmt.Fprintln(p.Out, p.paint(bold, text))
	} else {
		fmt.Fprintln(p.Out, text)
	}
	p.rest(len([]rune(text)), readsLetter)
}

func (p *Player) typed(line string) {
	fmt.Fprint(p.Out, p.paint(cyan, "> "))
	for _, r := range line {
		fmt.Fprint(p.Out, p.paint(cyan, string(r)))
		p.rest(1, typesLetter)
	}
	fmt.Fprintln(p.Out)
}

// rest waits as long as a reader needs for so many letters.
func (p *Player) rest(letters int, each time.Duration) {
	t := time.NewTimer(time.Duration(float64(letters) * float64(each) * p.Pace))
	defer t.Stop()
	select {
	case <-t.C:
	case <-p.ctx.Done():
	}
}

const (
	bold  = "1"
	dim   = "2"
	red   = "31"
	green = "32"
	cyan  = "36"
)

func (p *Player) marked(line string) string {
	for _, word := range []string{"GHOST ", "HIDDEN ", "LEAK ", ": 502", ": 500", "stale "} {
		if strings.Contains(line, word) {
			return p.paint(red, line)
		}
	}
	if strings.HasPrefix(line, "fresh ") {
		return p.paint(green, line)
	}
	return line
}

func (p *Player) paint(code, s string) string {
	if !p.Colour || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}
