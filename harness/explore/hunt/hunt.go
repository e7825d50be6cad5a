// Package hunt runs plan after plan in labs, makes small each plan that breaks a promise, and keeps the evidence.
package hunt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"ghostroute/harness/explore/check"
	"ghostroute/harness/explore/lab"
	"ghostroute/harness/explore/model"
	"ghostroute/harness/explore/plan"
	"ghostroute/harness/room"
)

// Config says what to hunt for and how.
type Config struct {
	Lab     lab.Config
	Plans   plan.Config // what plans are drawn from; Auth is set for one in four where Mixed, if the variant bears it
	Mixed   bool
	Checks  []check.Check // see Checks
	Seed    uint64        // of the first plan; the others follow
	Time    time.Duration // how long to draw plans; what was found by then is still made small. 0 is until ctx ends
	Most    int64         // how many plans to draw, however long that takes; 0 is for as long as Time says
	Workers int           // labs side by side; 0 is five for each core: a plan mostly waits
	Dir     string        // for the evidence, and for the plan that each worker is at; "" keeps none
	Command string        // what replays a plan: the plan's line, in quotes, is put behind it
	Out     io.Writer     // each finding is printed here; nil prints none

	Known  func(Finding) bool // called for each finding, one at a time: what is known is not made small nor kept
	Enough func(Finding) bool // called for each finding, one at a time: whether to stop; nil stops at the first
	Once   bool               // a check that broke by the same cause is a finding once
	Small  int                // how many candidates a plan is shrunk with in the lab at most, 0 for 150
}

// Finding is a promise that was broken.
type Finding struct {
	Check  string
	Why    error
	Cause  model.Cause   // for the stock proxy: the rule that let it happen
	Plan   plan.Plan     // shrunk
	From   plan.Plan     // as it was drawn
	After  time.Duration // since the hunt began
	Drawn  int64         // plans until then
	Folder string        // where the evidence is
}

// Tally is how far a hunt has come. It may be read while it runs.
type Tally struct {
	Plans, Steps, Findings atomic.Int64
	Again                  atomic.Int64  // plans that were run once more: see lab.Lab.Try
	Next                   atomic.Uint64 // the seed of the next plan
}

// Run hunts until ctx ends, its time is over, or there is enough. The error is trouble, a disagreement between model
// and machine among it: it ends the hunt. The end of ctx is none.
func Run(ctx context.Context, cfg Config, tally *Tally) error {
	if cfg.Workers == 0 {
		cfg.Workers = 5 * runtime.GOMAXPROCS(0)
	}
	if cfg.Most > 0 {
		cfg.Workers = int(min(int64(cfg.Workers), cfg.Most))
	}
	var err error
	if cfg.Workers, err = room.Benches(cfg.Workers); err != nil {
		return err
	}
	if cfg.Out == nil {
		cfg.Out = io.Discard
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	tally.Next.CompareAndSwap(0, cfg.Seed)
	h := &hunter{Config: cfg, tally: tally, began: time.Now(), stop: stop, seen: map[string]bool{}}
	var wg sync.WaitGroup
	errs := make([]error, cfg.Workers)
	for i := range cfg.Workers {
		wg.Go(func() {
			if errs[i] = h.work(ctx, i+1); errs[i] != nil {
				stop(errs[i])
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Replay runs one plan, judges it and keeps its evidence in a new folder below cfg.Dir.
func Replay(ctx context.Context, cfg Config, p plan.Plan) (out lab.Outcome, folder string, err error) {
	l, err := lab.New(cfg.Lab)
	if err != nil {
		return out, "", err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	if out, err = l.Try(ctx, p, cfg.Checks); err != nil || cfg.Dir == "" {
		return out, "", err
	}
	folder, err = Save(filepath.Join(cfg.Dir, "replay"), out, Verdict(out.Results))
	return out, folder, err
}

// Verdict is a line for each result.
func Verdict(results []check.Result) (text string) {
	for _, r := range results {
		text += fmt.Sprintf("%-12s %-7s %s\n", r.Check, r.Outcome, r.Why)
	}
	return text
}

type hunter struct {
	Config
	tally *Tally
	begun atomic.Int64 // plans, those under way too
	began time.Time
	stop  context.CancelCauseFunc
	mu    sync.Mutex // of Out, Known and Enough
	over  bool
	seen  map[string]bool
}

// work is one worker. While it runs a plan, the plan is in a file, so that a crash leaves it behind.
func (h *hunter) work(ctx context.Context, n int) (err error) {
	l, err := lab.New(h.Lab)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	running := ""
	if h.Dir != "" {
		running = filepath.Join(h.Dir, fmt.Sprintf("running-%d-%d.txt", os.Getpid(), n))
		defer os.Remove(running)
	}
	for ctx.Err() == nil && (h.Time == 0 || time.Since(h.began) < h.Time) {
		if h.begun.Add(1) > h.Most && h.Most > 0 {
			return nil
		}
		seed := h.tally.Next.Add(1) - 1
		c := h.Plans
		if h.Mixed && h.Lab.Topology.Variant.NeedsUser == "" {
			c.Auth = seed%4 == 0
		}
		c.Watches = h.watches(seed)
		p := plan.Random(c, seed)
		if h.Lab.Processes() {
			p = p.Bound()
		}
		if running != "" {
			if err := os.WriteFile(running, []byte(p.Format()), 0o644); err != nil {
				return err
			}
		}
		if err := h.one(ctx, l, p); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// watches says whether the plan of a seed has watches: where checks ask for them, and in every other one where other
// checks are asked for, too.
func (h *hunter) watches(seed uint64) bool {
	asks := func(c check.Check) bool { return c.Watches }
	others := func(c check.Check) bool { return !c.Watches }
	return slices.ContainsFunc(h.Checks, asks) && (seed%2 == 1 || !slices.ContainsFunc(h.Checks, others))
}

// one runs one plan, and makes small what it broke.
func (h *hunter) one(ctx context.Context, l *lab.Lab, p plan.Plan) error {
	out, err := h.try(ctx, l, p)
	if err != nil {
		return err
	}
	drawn := h.tally.Plans.Add(1)
	for _, f := range h.broken(p, out) {
		f.Drawn = drawn
		if h.known(f) || h.Once && !h.first(f) {
			continue
		}
		last, err := h.shrink(ctx, l, &f)
		if err != nil {
			return err
		}
		if f.Why == nil {
			h.forget(f)
			continue
		}
		if h.Dir != "" {
			dir := filepath.Join(h.Dir, fmt.Sprintf("%s-%d", f.Check, f.From.Seed))
			if f.Folder, err = Save(dir, last, fmt.Sprintf("%v\n\nthe plan as it was drawn:\n%s", f.Why, f.From)); err != nil {
				return err
			}
		}
		h.tell(f)
	}
	return nil
}

func (h *hunter) tell(f Finding) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over {
		return
	}
	h.tally.Findings.Add(1)
	fmt.Fprintf(h.Out, "seed %d: %v\n%s", f.From.Seed, f.Why, f.Plan)
	if f.Folder != "" {
		fmt.Fprintf(h.Out, "evidence: %s\n", f.Folder)
	}
	fmt.Fprintln(h.Out, h.replay(f.Plan))
	if h.over = h.Enough == nil || h.Enough(f); h.over {
		h.stop(nil)
	}
}

func (h *hunter) replay(p plan.Plan) string {
	return fmt.Sprintf("replay: %s'%s'", h.Command, p.Line())
}

func (h *hunter) known(f Finding) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.Known != nil && h.Known(f)
}

// first says whether nothing like it was found before.
func (h *hunter) first(f Finding) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	was := h.seen[f.id()]
	h.seen[f.id()] = true
	return !was
}

// forget takes first back: what was found did not happen again.
func (h *hunter) forget(f Finding) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.seen, f.id())
}

func (f Finding) id() string { return f.Check + " " + string(f.Cause) }

// try runs a plan. Where model and machine disagree the error has the plan and where its evidence is.
func (h *hunter) try(ctx context.Context, l *lab.Lab, p plan.Plan) (lab.Outcome, error) {
	out, err := l.Try(ctx, p, h.Checks)
	h.tally.Steps.Add(int64(out.Steps))
	if out.Again {
		h.tally.Again.Add(1)
	}
	if err == nil || ctx.Err() != nil {
		return out, err
	}
	return out, fmt.Errorf("%w\n%s%s", SaveDisagreement(h.Dir, out, err), p, h.replay(p))
}

// broken are the findings in an outcome, one for each broken promise. For those that the model can tell why the stock
// proxy breaks, they are one for each cause; where it knows none the cause is model.Unexplained.
func (h *hunter) broken(p plan.Plan, out lab.Outcome) (list []Finding) {
	for _, r := range out.Results {
		if r.Outcome != check.Broken {
			continue
		}
		f := Finding{Check: r.Check, Why: r.Error(), Plan: p, From: p, After: time.Since(h.began)}
		if !h.Lab.Stock() || !h.explains(r.Check) {
			list = append(list, f)
			continue
		}
		n := len(list)
		for _, c := range out.Causes {
			if c.Cause.Breaks() == r.Check && !slices.ContainsFunc(list, func(g Finding) bool { return g.Cause == c.Cause }) {
				f.Cause = c.Cause
				list = append(list, f)
			}
		}
		if f.Cause = model.Unexplained; len(list) == n {
			list = append(list, f)
		}
	}
	return list
}

// explains says whether the model can tell why a promise is broken: one about watches it tells by what the proxies' own
// are told, which is not seen of processes.
func (h *hunter) explains(name string) bool {
	return slices.ContainsFunc(model.Causes(), func(c model.Cause) bool { return c.Breaks() == name }) ||
		!h.Lab.Processes() &&
			slices.ContainsFunc(h.Checks, func(c check.Check) bool { return c.Name == name && c.Watches })
}

// by says whether an outcome has a finding's cause, where it has one.
func (f Finding) by(out lab.Outcome) bool {
	return f.Cause == "" || f.Cause == model.Unexplained ||
		slices.ContainsFunc(out.Causes, func(g model.Finding) bool { return g.Cause == f.Cause })
}

// shrink makes a finding's plan small and gives the outcome that confirms it. With the stock proxy the model tells
// which smaller plan still has the same cause, and the lab has the last word; where the model foretells nothing the lab
// is asked each time. Why is nil if it did not happen again.
func (h *hunter) shrink(ctx context.Context, l *lab.Lab, f *Finding) (last lab.Outcome, err error) {
	limit := h.Small
	if limit == 0 {
		limit = 150
	}
	fails := func(q plan.Plan) (bool, error) {
		out, err := h.try(ctx, l, q)
		if err != nil {
			return false, err
		}
		for _, r := range out.Results {
			if r.Check == f.Check && r.Outcome == check.Broken && f.by(out) {
				f.Why, last = r.Error(), out
				return true, nil
			}
		}
		return false, nil
	}
	if slices.Contains(model.Causes(), f.Cause) {
		small := plan.Shrink(f.Plan, 0, func(q plan.Plan) bool { return model.Has(q, f.Cause) })
		if ok, err := fails(small); ok || err != nil {
			f.Plan = small
			return last, err
		}
	}
	small := plan.Shrink(f.Plan, limit, func(q plan.Plan) (ok bool) {
		if err != nil || ctx.Err() != nil {
			return false
		}
		ok, err = fails(q)
		return ok
	})
	if err == nil && small.Line() == f.Plan.Line() {
		var ok bool
		if ok, err = fails(small); !ok {
			f.Why = nil
		}
	}
	f.Plan = small
	return last, err
}
