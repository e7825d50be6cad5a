package beyond

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"ghostroute/harness/history"
	"ghostroute/harness/stage"
	"ghostroute/scenarios"
)

// trialTimeout is far beyond any trial.
const trialTimeout = time.Minute

// attempts is how often a trial is made that comes to unknown: its fault did not show, which a busy machine can do.
// What a trial comes to is never tried away.
const attempts = 3

// Table tries scenarios against fixes, and compares each verdict with the expected one. Close it.
type Table struct {
	Expected Verdicts
	Dir      string // where the histories of what moved are kept

	pool *stage.Pool
}

// NewTable returns a table whose clusters start when they are needed.
func NewTable(expected Verdicts, dir string) (*Table, error) {
	pool, err := stage.NewPool()
	return &Table{Expected: expected, Dir: dir, pool: pool}, err
}

// Close ends the clusters.
func (t *Table) Close() error { return t.pool.Close() }

// Cell is one scenario against one fix.
type Cell struct {
	Key
	Result
	Took  time.Duration
	Again []string // why earlier trials came to unknown, each
	News  string   // what is not as expected, "" where it is
}

// Cell tries one scenario against one fix.
func (t *Table) Cell(ctx context.Context, s Scenario, f Fix) (Cell, error) {
	cell := Cell{Key: Key{s.Name, f.Name}}
	for n := 1; ; n++ {
		if err := t.try(ctx, &cell, s, f); err != nil {
			return cell, err
		}
		if cell.Verdict.Outcome != "unknown" || n == attempts {
			break
		}
		cell.Again = append(cell.Again, cell.Verdict.Why)
	}
	if was, is := t.Expected[cell.Key], cell.Verdict.Label(); was != is {
		file, err := t.save(cell)
		if err != nil {
			return cell, err
		}
		if was == "" {
			was = "nothing"
		}
		cell.News = fmt.Sprintf("%s against %s moved\n  it was   %s\n  it is    %s\n  history  %s\n  replay   %s beyond "+
			"--scenario %s --fix %s", s.Name, f.Name, was, cell.Verdict, file, scenarios.Program, s.Name, f.Name)
	}
	return cell, nil
}

// try makes one trial.
func (t *Table) try(ctx context.Context, cell *Cell, s Scenario, f Fix) error {
	c, err := t.pool.Take(ctx, max(s.Needs.Members, 1))
	if err != nil {
		return err
	}
	began := time.Now()
	limited, cancel := context.WithTimeoutCause(ctx, trialTimeout,
		fmt.Errorf("it was still running after %s", trialTimeout))
	defer cancel()
	cell.Result, err = Try(limited, c, s, f)
	cell.Took = time.Since(began)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err = errors.Join(err, t.pool.Give(ctx, c)); err != nil {
		return fmt.Errorf("%s against %s: %w", s.Name, f.Name, err)
	}
	return nil
}

func (t *Table) save(c Cell) (file string, err error) {
	dir := filepath.Join(t.Dir, c.Scenario)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	file = filepath.Join(dir, c.Fix+".jsonl")
	w, err := os.Create(file)
	if err != nil {
		return "", err
	}
	_, err = history.Encode(w, c.Events)
	return file, errors.Join(err, w.Close())
}

// Pair is a scenario and a fix to try it against.
type Pair struct {
	Scenario
	Fix Fix
}

// Pairs are those scenarios and fixes that make sense together.
func Pairs(ss []Scenario, fixes func(Scenario) []Fix) (all []Pair) {
	for _, s := range ss {
		for _, f := range fixes(s) {
			if NotApplicable(s, f) == "" {
				all = append(all, Pair{s, f})
			}
		}
	}
	return all
}

// Try tries these, some at a time, and calls tell after each. Trials mostly wait.
func (t *Table) Try(ctx context.Context, pairs []Pair, parallel int, tell func(Pair, Cell)) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	next := make(chan Pair)
	var telling sync.Mutex
	var wg sync.WaitGroup
	for range parallel {
		wg.Go(func() {
			for p := range next {
				cell, err := t.Cell(ctx, p.Scenario, p.Fix)
				if err != nil {
					stop(err)
					return
				}
				telling.Lock()
				tell(p, cell)
				telling.Unlock()
			}
		})
	}
	for _, p := range pairs {
		select {
		case next <- p:
		case <-ctx.Done():
		}
	}
	close(next)
	wg.Wait()
	return context.Cause(ctx)
}

// Matters are the fixes that tell a scenario apart from itself without one, by what is expected, and the ways past a
// proxy: what a test has to try. The others differ from stock in lines that this scenario does not reach.
func (v Verdicts) Matters(s Scenario) (fs []Fix) {
	bare := v[Key{s.Name, "none"}]
	for _, f := range Fixes() {
		if f.Name == "none" || f.Direct || f.Variant.Relays || v[Key{s.Name, f.Name}] != bare {
			fs = append(fs, f)
		}
	}
	return fs
}

// String is the cell in a line.
func (c Cell) String() string {
	line := fmt.Sprintf("%-16s%-16s%s  %s", c.Scenario, c.Fix, c.Took.Round(10*time.Millisecond),
		strings.ReplaceAll(c.Verdict.String(), "\n", " "))
	for _, why := range c.Again {
		line += fmt.Sprintf("\n  %s against %s was tried again: %s", c.Scenario, c.Fix, why)
	}
	return line
}
