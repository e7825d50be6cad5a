package notebook

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cockroachdb/datadriven"

	"ghostroute/harness"
	"ghostroute/harness/history"
	"ghostroute/harness/proxy"
	"ghostroute/harness/trial"
	"ghostroute/harness/verdict"
)

// Options are what a notebook is played with.
type Options struct {
	Scenarios []string // those of the matrix, for report and try
	Fixes     []Fix    // for bench and try
	Try       Try      // required where there are scenarios
	Player    *Player  // shows it in a terminal; nil shows nothing
	Write     bool     // the files are made to say what was printed
	Dir       string   // where histories are saved; "" means nowhere
}

// Fix is a fix as a notebook knows it: a name, and what it does to a topology.
type Fix struct {
	Name     string
	Apply    func(*harness.Topology)
	Operator bool // an operator has to do something, too: it can be tried with a scenario only
}

func (f Fix) name() string { return f.Name }

// Try runs one cell of the matrix under the worst schedule that the scenario knows for the fix. na says why it makes no
// sense, if it makes none.
type Try func(ctx context.Context, scenario, fix, reading string) (v verdict.Verdict, na string, err error)

// Verdict is what a report command came to.
type Verdict struct {
	Scenario, Fix, Reading string // of the matrix; Scenario is "" where the notebook does not say which it is
	Label                  string // "stale ghost"
}

// Changed is the error of a notebook in which a command printed something else than its file says.
type Changed struct {
	Diff string // each such command: where it stands, the prose before it, the lines that went and came
}

// Error names no way to accept the change: that is for the caller, which knows how it was called.
func (c Changed) Error() string { return "the story has changed:\n\n" + c.Diff }

// Notebook is a notebook that is being played.
type Notebook struct {
	opts Options
	ctx  context.Context

	bench     *harness.Bench // nil before the first bench command
	benches   int
	fix       string
	base      int64             // revisions are shown less this: an empty etcd is at 1
	instances []string          // every one that was ever started
	clients   []string          // plain ones
	users     map[string]string // client → user
	denied    map[string]bool   // users who may not read the registry
	gates     map[string][]*gate
	watches   map[string]*watching // by who watches
	begun     int                  // watches
	held      []*call              // commands that an RPC of theirs keeps from going on
	trial     *trial.Trial         // that arrange began last
	phase     history.Phase        // of that
	stayed    []string             // instances that have registered since, and neither left nor died
	before    int64                // the revision that truth was at then
	probes    int                  // reads made by narrow, each of another key

	verdicts []Verdict
}

// gate is a hold that is set.
type gate struct {
	*proxy.Gate
	rpc string // in the notebook's words
	pos string // where it was set
}

func newNotebook(ctx context.Context, o Options) *Notebook {
	return &Notebook{opts: o, ctx: ctx, gates: map[string][]*gate{}, watches: map[string]*watching{}}
}

// deadline is a notebook's.
const deadline = 3 * time.Minute

// Play plays the notebook in the first of the files, and then the others on the same bench: a chapter, and the answer
// to its exercise. A player is shown the first only, and what differs from the file; without one the error is then
// Changed. What reports came to is returned. ctx ends it: the error is ctx's cause, and nothing is left running.
func Play(ctx context.Context, o Options, paths ...string) (_ []Verdict, err error) {
	bounded, stop := context.WithTimeoutCause(ctx, deadline, fmt.Errorf("the notebook's deadline of %s", deadline))
	defer stop()
	nb := newNotebook(bounded, o)
	defer func() {
		if cerr := nb.close(); cerr != nil {
			err = errors.Join(err, fmt.Errorf("the notebook did not end as it should: %w", cerr))
		}
	}()
	if o.Player != nil {
		paths = paths[:1] // a reader wants to think before the answer
	}
	var diffs string
	for _, path := range paths {
		diff, err := nb.play(ctx, path)
		diffs += diff
		if err != nil && diffs != "" {
			err = errors.Join(Changed{diffs}, err)
		}
		if err != nil {
			return nil, err
		}
	}
	if diffs != "" {
		return nb.verdicts, Changed{diffs}
	}
	return nb.verdicts, nil
}

// play plays one file, and returns the commands that printed something else than it says, unless that was shown or
// written. The show is bounded by ctx, for a reader takes longer than the notebook.
func (nb *Notebook) play(ctx context.Context, path string) (diff string, err error) {
	f, err := readFile(path)
	if err != nil {
		return "", err
	}
	s := nb.opts.Player.open(ctx, f)
	var actual [][]string
	for _, w := range f.commands {
		s.command(w)
		out, cerr := nb.line(f.pos(w), f.lines[w.at], f.inputOf(w))
		if cerr != nil {
			err = fmt.Errorf("%s: %w", f.pos(w), cerr)
			break
		}
		s.answer(out, f.outputOf(w))
		actual = append(actual, out)
	}
	s.end(err != nil)
	switch {
	case err == nil && ctx.Err() != nil:
		return "", context.Cause(ctx)
	case err == nil && nb.opts.Write:
		return "", f.rewrite(actual)
	case s != nil:
		return "", err
	}
	return f.differences(actual), err
}

// line runs one line of a notebook and what stands under it, and returns what it printed.
func (nb *Notebook) line(pos, line, input string) ([]string, error) {
	name, args, err := datadriven.ParseLine(line)
	if err != nil {
		return nil, err
	}
	return nb.execute(pos, name, args, input)
}

func (nb *Notebook) execute(pos, name string, args []datadriven.CmdArg, input string) ([]string, error) {
	command, err := commandNamed(name)
	if err != nil {
		return nil, err
	}
	c := &call{nb: nb, command: command, pos: pos, args: map[string][]string{}, input: input, done: make(chan struct{})}
	if nb.bench == nil && command.Name != "bench" && command.Name != "try" {
		return nil, fmt.Errorf("%s: there is no bench yet: a notebook begins with the command bench", name)
	}
	if err := c.parse(args); err != nil {
		return nil, err
	}
	if input != "" && !command.script {
		return nil, c.wrong("the line after a command and its arguments is ----; here it is %q", firstLine(input))
	}
	nb.enter(command)
	w := nb.lookout()
	go func() {
		defer close(c.done)
		c.err = command.run(c)
	}()
	return nb.follow(c, w)
}

// enter marks the phases of a trial that was begun by arrange: the change begins with the first command that acts, and
// is over when a gateway is asked after truth has moved and while no command is held.
func (nb *Notebook) enter(c *Command) {
	switch {
	case c.act && nb.phase == history.PhaseArrange:
		nb.begin(history.PhaseAct)
	case c.look && nb.phase == history.PhaseAct && len(nb.held) == 0 && nb.now() > nb.before:
		nb.begin(history.PhaseObserve)
	}
}

// now is the highest revision that any member has.
func (nb *Notebook) now() (r int64) {
	for _, m := range nb.bench.Cluster.Members {
		r = max(r, m.Applied())
	}
	return r
}

func (nb *Notebook) begin(p history.Phase) {
	nb.phase = p
	nb.bench.Phase(p, "")
}

// close ends the bench and whatever is still held.
func (nb *Notebook) close() error {
	for _, gates := range nb.gates {
		for _, g := range gates {
			g.Release()
		}
	}
	for _, c := range nb.held {
		<-c.done
	}
	nb.held, nb.gates = nil, map[string][]*gate{}
	for who := range nb.watches {
		nb.unwatch(who)
	}
	if nb.bench == nil {
		return nil
	}
	b := nb.bench
	nb.bench = nil
	return b.Close()
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
