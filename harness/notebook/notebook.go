package notebook

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness"
	"ghostroute/harness/history"
	"ghostroute/harness/proxy"
)

// Options are what a notebook is run with.
type Options struct {
	Deadline time.Duration // of the whole notebook; 0 means three minutes
	Fixes    []Fix         // the cures that are a matter of topology, for bench and try
	Matrix   Matrix        // what try asks for a scenario by its name; nil where there is none
	Player   *Player       // plays it in a terminal; nil means nobody looks on
	Dir      string        // where histories are saved; "" means nowhere
}

// Fix is a cure as a notebook knows it: a name, and what it does to a topology.
type Fix struct {
	Name  string
	Apply func(*harness.Topology)
}

// Verdict is what a report command came to.
type Verdict struct {
	Scenario, Fix, Reading string // of the matrix; Scenario is "" where the notebook does not say which it is
	Label                  string // "stale ghost"
}

// grace is how long a command has to end once the notebook's deadline has.
const grace = 3 * time.Second

// Notebook is a notebook that is being run.
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
	held      []*call                     // commands that an RPC of theirs keeps from going on
	phase     history.Phase               // of the trial that arrange began last
	arranged  int                         // how long the history was then
	stayed    []string                    // instances that have registered since, and neither left nor died
	before    int64                       // the revision that truth was at then
	probes    int                         // reads made by narrow, each of another key
	roots     map[string]*clientv3.Client // member → a client of it as root, on a bench with auth

	story    []told
	verdicts []Verdict
}

// gate is a hold that is set.
type gate struct {
	*proxy.Gate
	rpc string // in the notebook's words
	pos string // where it was set
}

// told is a command that ran, beside what the file says of it.
type told struct {
	data     datadriven.TestData
	expected string
	actual   string
}

// Run runs the notebook in the file at path, and then those in more on the same bench: a chapter, and the answer to its exercise. The
// test fails where a command does not print what the file says; with -rewrite the file is made to say it. What reports came to is
// returned.
func Run(t *testing.T, o Options, path string, more ...string) []Verdict {
	t.Helper()
	if o.Deadline == 0 {
		o.Deadline = 3 * time.Minute
	}
	interrupted, cancel := harness.Context(t)
	defer cancel()
	ctx, stop := context.WithTimeoutCause(interrupted, o.Deadline, fmt.Errorf("the notebook's deadline of %s", o.Deadline))
	defer stop()
	nb := &Notebook{opts: o, ctx: ctx, gates: map[string][]*gate{}}
	t.Cleanup(func() {
		if err := nb.close(); err != nil {
			t.Errorf("the notebook did not end as it should: %v", err)
		}
		if t.Failed() && o.Dir != "" {
			t.Logf("what happened, bench by bench: %s (kept with -artifacts)", o.Dir)
		}
	})
	if o.Player != nil {
		o.Player.open(interrupted, path)
		defer func() { o.Player.end(t.Failed()) }()
		more = nil // who is shown a notebook wants to think first
	}
	for _, p := range append([]string{path}, more...) {
		nb.story = nil
		datadriven.RunTest(t, p, nb.handle)
		if diff := nb.differences(); diff != "" && o.Player == nil {
			t.Errorf("the story has changed. If it should have: go test ./scenarios -run '%s' -rewrite\n\n%s", t.Name(), diff)
		}
	}
	return nb.verdicts
}

// handle is datadriven's callback: one command.
func (nb *Notebook) handle(t *testing.T, d *datadriven.TestData) string {
	nb.opts.Player.command(d)
	out, err := nb.execute(d.Pos, d.Cmd, d.CmdArgs, d.Input)
	if err != nil {
		t.Fatalf("\n%s: %v", place(d.Pos), err)
	}
	if out != "" {
		out += "\n"
	}
	nb.opts.Player.answer(out, d.Expected)
	if d.Rewrite {
		return out
	}
	nb.story = append(nb.story, told{data: *d, expected: d.Expected, actual: out})
	return d.Expected // it is compared when the whole story is known
}

// place is where in the repository a line stands; datadriven says it as seen from the test's folder.
func place(pos string) string {
	for strings.HasPrefix(pos, "../") {
		pos = pos[len("../"):]
	}
	return pos
}

// execute runs one command and returns what it printed, without the last line's end.
func (nb *Notebook) execute(pos, name string, args []datadriven.CmdArg, input string) (string, error) {
	command, err := commandNamed(name)
	if err != nil {
		return "", err
	}
	c := &call{nb: nb, command: command, pos: pos, args: map[string][]string{}, input: input, done: make(chan struct{})}
	if nb.bench == nil && command.Name != "bench" && command.Name != "try" {
		return "", fmt.Errorf("%s: there is no bench yet: a notebook begins with the command bench", name)
	}
	if err := c.parse(args); err != nil {
		return "", err
	}
	if input != "" && !command.script {
		return "", c.wrong("the line after a command and its arguments is ----; here it is %q", firstLine(input))
	}
	nb.enter(command)
	w := nb.lookout()
	go func() {
		defer close(c.done)
		c.err = command.run(c)
	}()
	return nb.follow(c, w)
}

// enter marks the phases of a trial that was begun by arrange: the change begins with the first command that acts, and is over when a
// gateway is asked after truth has moved and while no command is held.
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
