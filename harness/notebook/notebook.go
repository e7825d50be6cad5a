package notebook

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
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

// lookout is what tells that a command stands at a gate. It is made before the command runs, or goes on, because commands change the
// notebook.
type lookout struct {
	history *history.History // nil where no gate is set
	n       int              // how long it was
}

func (nb *Notebook) lookout() lookout {
	if len(nb.gates) == 0 {
		return lookout{}
	}
	return lookout{nb.bench.History, nb.bench.History.Len()}
}

// follow waits until a command is done, or stands at a gate: then it is held, and the notebook goes on.
func (nb *Notebook) follow(c *call, w lookout) (string, error) {
	select {
	case <-c.done:
		return c.result()
	default:
	}
	ctx, cancel := context.WithCancel(nb.ctx)
	stopped := make(chan struct{})
	caught := make(chan history.Event, 1)
	defer func() { cancel(); <-stopped }()
	go func() {
		defer close(stopped)
		if w.history == nil {
			return
		}
		// What a watch delivers is held for whoever watches, not for the command.
		if e, err := w.history.Wait(ctx, w.n, func(e history.Event) bool {
			return e.Fault != nil && e.Fault.Name == "hold" && e.Fault.Op == "fire" && e.Fault.RPC != "Watch"
		}); err == nil {
			caught <- e
		}
	}()
	select {
	case <-c.done:
		return c.result()
	case e := <-caught:
		c.at = e.Fault.Target
		nb.held = append(nb.held, c)
		what := fmt.Sprintf("%s holds the %s on its way to etcd: etcd has not seen it", c.at, wordFor(e.Fault.RPC))
		if strings.HasPrefix(e.Fault.Detail, string(proxy.AfterMember)) {
			what = fmt.Sprintf("%s holds etcd's answer to the %s: etcd has done it, %s does not know", c.at, wordFor(e.Fault.RPC), c.at)
		}
		return what, nil
	case <-nb.ctx.Done():
	}
	late := fmt.Errorf("%s ended here. The command waited for %s", context.Cause(nb.ctx), c.waitsFor())
	select {
	case <-c.done:
	case <-time.After(grace):
		return "", fmt.Errorf("%w, and does not end", late)
	}
	for p, gates := range nb.gates {
		for _, g := range gates {
			late = fmt.Errorf("%w\n    %s was told to hold a %s in %s, and never to release it", late, p, g.rpc, place(g.pos))
		}
	}
	return "", late
}

// resume waits for the commands that a proxy held, once it holds them no more, and returns what they print.
func (nb *Notebook) resume(proxy string, w lookout) ([]string, error) {
	var out []string
	held := nb.held
	nb.held = nil
	for i, c := range held {
		if c.at != proxy {
			nb.held = append(nb.held, c)
			continue
		}
		s, err := nb.follow(c, w)
		if err != nil {
			nb.held = append(nb.held, held[i+1:]...)
			return out, fmt.Errorf("the command of %s: %w", place(c.pos), err)
		}
		out = append(out, s)
	}
	return out, nil
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

// call is one command that runs.
type call struct {
	nb      *Notebook
	command *Command
	pos     string
	args    map[string][]string
	input   string
	at      string // the proxy that holds it

	lines []string
	waits atomic.Pointer[string]
	done  chan struct{}
	err   error // what run returned, once done is closed
}

// b is the bench.
func (c *call) b() *harness.Bench { return c.nb.bench }

// ctx ends with the notebook's deadline.
func (c *call) ctx() context.Context { return c.nb.ctx }

// say prints a line.
func (c *call) say(format string, args ...any) {
	c.lines = append(c.lines, strings.TrimRight(fmt.Sprintf(format, args...), " "))
}

// awaits tells what the command waits for from now on, for whoever finds it waiting still at the deadline.
func (c *call) awaits(format string, args ...any) {
	s := fmt.Sprintf(format, args...)
	c.waits.Store(&s)
}

func (c *call) waitsFor() string {
	if s := c.waits.Load(); s != nil {
		return *s
	}
	return c.command.Name + " to be done"
}

// result is what a command that is done printed.
func (c *call) result() (string, error) {
	var m mistake
	switch {
	case c.err == nil:
		return strings.Join(c.lines, "\n"), nil
	case errors.As(c.err, &m):
		return "", c.err
	case c.nb.ctx.Err() != nil:
		return "", fmt.Errorf("%w ended here. The command waited for %s: %v", context.Cause(c.nb.ctx), c.waitsFor(), c.err)
	}
	return "", fmt.Errorf("%s: %w", c.command.Name, c.err)
}

// mistake is an error about how a command was written.
type mistake string

func (m mistake) Error() string { return string(m) }

func (nb *Notebook) proxyNames() []string {
	var names []string
	if nb.bench != nil {
		for _, p := range nb.bench.Proxies() {
			names = append(names, p.Name())
		}
	}
	return names
}

func (nb *Notebook) memberNames() []string {
	var names []string
	if nb.bench != nil {
		for _, m := range nb.bench.Cluster.Members {
			names = append(names, m.Name)
		}
	}
	return names
}

func (nb *Notebook) gatewayNames() []string {
	var names []string
	if nb.bench != nil {
		for _, g := range nb.bench.Gateways() {
			names = append(names, g.Name())
		}
	}
	return names
}

func (nb *Notebook) instanceNames() []string { return slices.Clone(nb.instances) }
func (nb *Notebook) clientNames() []string   { return slices.Clone(nb.clients) }

func (nb *Notebook) fixNames() []string {
	var names []string
	for _, f := range nb.opts.Fixes {
		names = append(names, f.Name)
	}
	return names
}

func (nb *Notebook) matrixFixes() []string {
	if nb.opts.Matrix == nil {
		return nil
	}
	return nb.opts.Matrix.Fixes()
}

func (nb *Notebook) scenarioNames() []string {
	if nb.opts.Matrix == nil {
		return nil
	}
	return nb.opts.Matrix.Scenarios()
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
