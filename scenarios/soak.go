package scenarios

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"ghostroute/harness/explore/hunt"
	"ghostroute/harness/room"
)

// soaked is what a soak leaves behind for the next to go on from.
type soaked struct {
	Seed                   uint64
	Plans, Steps, Findings int64
}

// Soak runs plans for as long as it is asked to, or as many, and holds the model to each step. It goes on past what the
// fix is expected to break; found is how much else there was. It says every few seconds how far it is. With a seed of 0
// it goes on where the last soak in the same folder stopped.
func Soak(ctx context.Context, out Output, s Search) (found int, err error) {
	x, err := s.expectation()
	if err != nil {
		return 0, err
	}
	file := filepath.Join(out.Dir, "seed.json")
	var was soaked
	switch content, err := os.ReadFile(file); {
	case s.Seed != 0 || errors.Is(err, fs.ErrNotExist):
		was.Seed = s.Seed
		if s.Seed == 0 {
			was.Seed = uint64(time.Now().UnixNano())
		}
	case err != nil:
		return 0, err
	default:
		if err := json.Unmarshal(content, &was); err != nil {
			return 0, fmt.Errorf("%s is no soak's: remove it to begin anew: %w", file, err)
		}
	}
	fmt.Fprintf(out, "from seed %d, behind %d plans\n", was.Seed, was.Plans)
	s.Seed = was.Seed
	cfg := s.hunt(out)
	cfg.Known, cfg.Once, cfg.Enough = x.meets, true, func(f hunt.Finding) bool {
		x.row(f.Check, string(f.Cause)).Moved = "new"
		found++
		return false
	}
	err = run(ctx, out, cfg, func(t *hunt.Tally) error {
		is := soaked{Seed: t.Next.Load(), Plans: was.Plans + t.Plans.Load(), Steps: was.Steps + t.Steps.Load(),
			Findings: was.Findings + t.Findings.Load()}
		content, err := json.Marshal(is)
		if err != nil {
			return err
		}
		return room.Write(file, func(w io.Writer) error { _, err := w.Write(content); return err })
	})
	fmt.Fprint(out, table(x.met))
	return found, err
}

// Agree runs plans for as long as it is asked to and holds the model to each step of them: a disagreement is its error.
func Agree(ctx context.Context, out Output, s Search) (found int, err error) {
	fmt.Fprintf(out, "from seed %d\n", s.Seed)
	cfg := s.hunt(out)
	return 0, run(ctx, out, cfg, func(*hunt.Tally) error { return nil })
}

// run hunts, says every few seconds how far it is, and has each such moment kept.
func run(ctx context.Context, out Output, cfg hunt.Config, keep func(*hunt.Tally) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var tally hunt.Tally
	began := time.Now()
	done := make(chan error, 1)
	go func() { done <- hunt.Run(ctx, cfg, &tally) }()
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for {
		var err error
		over := false
		select {
		case <-tick.C:
		case err = <-done:
			over = true
		}
		gone, plans, steps := time.Since(began), tally.Plans.Load(), tally.Steps.Load()
		fmt.Fprintf(out, "%8v  %7d plans %6.1f/s  %9d steps %7.0f/s  %5d findings  %3d again  %4d MB\n",
			gone.Round(time.Second), plans, float64(plans)/gone.Seconds(), steps, float64(steps)/gone.Seconds(),
			tally.Findings.Load(), tally.Again.Load(), resident()>>20)
		kept := keep(&tally)
		if over {
			return errors.Join(err, kept)
		}
		if kept != nil {
			stop(kept)
			return errors.Join(kept, <-done)
		}
	}
}

// resident is how much memory this process has, in bytes; 0 where the system does not say.
func resident() int64 {
	content, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	words := strings.Fields(string(content))
	if len(words) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(words[1], 10, 64) // the kernel's own format
	return pages * int64(os.Getpagesize())
}
