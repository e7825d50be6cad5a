// Package hunt runs plan after plan on benches, makes what breaks a promise small, and keeps the evidence.
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

	"ghostroute/harness/explore/bench"
	"ghostroute/harness/explore/check"
	"ghostroute/harness/explore/model"
	"ghostroute/harness/explore/plan"
	"ghostroute/harness/history"
	"ghostroute/harness/report"
)

// Config says what to hunt for and how.
type Config struct {
	Bench   bench.Config
	Plans   plan.Config // what plans are drawn from; Auth is set for one in four where Mixed
	Mixed   bool
	Checks  []check.Check
	Seed    uint64        // of the first plan; the others follow
	For     time.Duration // how long to draw plans; what was found by then is still made small. 0 is until ctx ends
	Workers int           // benches side by side; 0 is five for each core: most of a schedule is waiting
	Dir     string        // for the evidence, and for the plan that each bench is at; "" keeps none
	Command string        // what replays a plan: PLAN='…' is put behind it
	Out     io.Writer

	Enough func(Finding) bool // called for each finding, one at a time: whether to stop; nil stops at the first
	Once   bool               // a check that broke by the same cause is a finding once
	Small  int                // how many candidates a plan is shrunk with on the bench at most, 0 for 150
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
	Again                  atomic.Int64  // plans that were run once more: see bench.Lab.Try
	Next                   atomic.Uint64 // the seed of the next plan
}

// Run hunts until ctx ends or somebody has enough. The error is trouble, a disagreement between model and machine among it: it ends the
// hunt. The end of ctx is none.
func Run(ctx context.Context, cfg Config, tally *Tally) error {
	if cfg.Workers == 0 {
		cfg.Workers = 5 * runtime.GOMAXPROCS(0)
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
			if errs[i] = h.work(ctx, i); errs[i] != nil {
				stop(errs[i])
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

type hunter struct {
	Config
	tally *Tally
	began time.Time
	stop  context.CancelCauseFunc
	mu    sync.Mutex // of Out and Enough
	over  bool
	seen  map[string]bool
}

func (h *hunter) work(ctx context.Context, n int) (err error) {
	lab, err := bench.NewLab(h.Bench)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lab.Close()) }()
	for ctx.Err() == nil && (h.For == 0 || time.Since(h.began) < h.For) {
		seed := h.tally.Next.Add(1) - 1
		c := h.Plans
		if h.Mixed {
			c.Auth = seed%4 == 0
		}
		p := plan.Random(c, seed)
		if h.Dir != "" {
			if err := os.WriteFile(filepath.Join(h.Dir, fmt.Sprintf("running-%d.txt", n+1)), []byte(p.Format()), 0o644); err != nil {
				return err
			}
		}
		if err := h.one(ctx, lab, p); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// one runs one plan, and makes small what it broke.
func (h *hunter) one(ctx context.Context, lab *bench.Lab, p plan.Plan) error {
	out, err := h.try(ctx, lab, p)
	if err != nil {
		return err
	}
	drawn := h.tally.Plans.Add(1)
	for _, f := range h.broken(p, out) {
		f.Drawn = drawn
		if h.Once && !h.first(f) {
			continue
		}
		if err := h.shrink(ctx, lab, &f); err != nil {
			return err
		}
		if f.Why == nil {
			continue
		}
		h.mu.Lock()
		if !h.over {
			h.tally.Findings.Add(1)
			fmt.Fprintf(h.Out, "seed %d: %v\n%s%s\n", p.Seed, f.Why, f.Plan, h.replay(f))
			if h.over = h.Enough == nil || h.Enough(f); h.over {
				h.stop(nil)
			}
		}
		h.mu.Unlock()
	}
	return nil
}

// first says whether nothing like it was found before.
func (h *hunter) first(f Finding) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	id := f.Check + " " + string(f.Cause)
	was := h.seen[id]
	h.seen[id] = true
	return !was
}

func (h *hunter) replay(f Finding) string {
	text := "replay: " + h.Command + " PLAN='" + f.Plan.Line() + "'"
	if f.Folder != "" {
		text = "evidence: " + f.Folder + "\n" + text
	}
	return text
}

// try runs a plan; where model and machine disagree the plan, up to there, is in the error.
func (h *hunter) try(ctx context.Context, lab *bench.Lab, p plan.Plan) (bench.Outcome, error) {
	out, err := lab.Try(ctx, p, h.Checks)
	h.tally.Steps.Add(int64(out.Steps))
	if out.Again {
		h.tally.Again.Add(1)
	}
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("%w\n%sreplay: %s PLAN='%s'", err, p, h.Command, p.Line())
	}
	return out, err
}

// broken are the findings in an outcome, one for each cause or, where the model knows nothing, the first broken promise.
func (h *hunter) broken(p plan.Plan, out bench.Outcome) []Finding {
	var list []Finding
	for _, r := range out.Results {
		if r.Outcome != check.Broken {
			continue
		}
		f := Finding{Check: r.Check, Why: r.Error(), Plan: p, From: p, After: time.Since(h.began)}
		if !h.Bench.Stock() || r.Check != "convergence" && r.Check != "identity" {
			list = append(list, f)
			continue
		}
		causes, err := model.Explain(p)
		if err != nil {
			continue // the model followed it a moment ago
		}
		for _, c := range causes {
			if (c.Cause == model.Identity) == (r.Check == "identity") && c.Cause != model.PastCompaction && !slices.ContainsFunc(list, func(g Finding) bool { return g.Cause == c.Cause }) {
				g := f
				g.Cause = c.Cause
				list = append(list, g)
			}
		}
	}
	if h.Bench.Stock() {
		return list
	}
	return list[:min(len(list), len(h.Checks))]
}

// shrink makes a finding's plan small and keeps its evidence. With the stock proxy the model tells which smaller plan still has the
// same cause, and the bench has the last word; without a model the bench is asked each time. Why is nil if it did not happen again.
func (h *hunter) shrink(ctx context.Context, lab *bench.Lab, f *Finding) error {
	limit := h.Small
	if limit == 0 {
		limit = 150
	}
	var last bench.Outcome
	fails := func(q plan.Plan) (bool, error) {
		out, err := h.try(ctx, lab, q)
		if err != nil {
			return false, err
		}
		for _, r := range out.Results {
			if r.Check == f.Check && r.Outcome == check.Broken {
				f.Why, last = r.Error(), out
				return true, nil
			}
		}
		return false, nil
	}
	if f.Cause != "" {
		small := plan.Shrink(f.Plan, 0, func(q plan.Plan) bool { return has(q, f.Cause) })
		if ok, err := fails(small); err != nil {
			return err
		} else if ok {
			f.Plan = small
			return h.keep(f, last)
		}
	}
	var trouble error
	small := plan.Shrink(f.Plan, limit, func(q plan.Plan) bool {
		if trouble != nil || ctx.Err() != nil {
			return false
		}
		ok, err := fails(q)
		trouble = err
		return ok
	})
	if trouble != nil {
		return trouble
	}
	if small.Line() == f.Plan.Line() {
		if ok, err := fails(small); err != nil || !ok {
			f.Why = nil
			return err
		}
	}
	f.Plan = small
	return h.keep(f, last)
}

func has(p plan.Plan, c model.Cause) bool {
	list, err := model.Explain(p)
	return err == nil && slices.ContainsFunc(list, func(f model.Finding) bool { return f.Cause == c })
}

// keep saves a finding's evidence in a folder of its own.
func (h *hunter) keep(f *Finding, out bench.Outcome) error {
	if h.Dir == "" {
		return nil
	}
	f.Folder = filepath.Join(h.Dir, fmt.Sprintf("%s-%d", f.Check, f.From.Seed))
	return Save(f.Folder, out, fmt.Sprintf("%v\n\nthe plan as it was drawn:\n%s", f.Why, f.From))
}

// Save writes an outcome into a folder: plan.txt, verdict.txt, history.jsonl, timeline.html, and porcupine's page of the first service
// that has anything to show.
func Save(dir string, out bench.Outcome, verdict string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	write := func(name string, f func(io.Writer) error) error {
		w, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		return errors.Join(f(w), w.Close())
	}
	text := func(s string) func(io.Writer) error {
		return func(w io.Writer) error { _, err := io.WriteString(w, s); return err }
	}
	errs := []error{
		write("plan.txt", text(out.Plan.Format())),
		write("verdict.txt", text(verdict+"\n")),
		write("history.jsonl", func(w io.Writer) error { _, err := history.Encode(w, out.Events); return err }),
		write("timeline.html", func(w io.Writer) error { return report.Timeline(w, out.Events, "A plan of the explorer") }),
	}
	for _, service := range []string{"k", "s1", "s2"} {
		page := filepath.Join(dir, "linearizable.html")
		if err := write("linearizable.html", func(w io.Writer) error { return out.Record.Visualise(w, service, time.Second) }); err == nil {
			break
		}
		os.Remove(page)
	}
	return errors.Join(errs...)
}
