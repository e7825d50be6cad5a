package scenarios

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"ghostroute/harness/explore/check"
	"ghostroute/harness/explore/hunt"
	"ghostroute/harness/explore/lab"
	"ghostroute/harness/explore/model"
	"ghostroute/harness/explore/plan"
)

// Causes runs plans in a lab until every cause that the model knows has turned up there, makes each small, has the lab
// confirm it, and keeps it under fixtures/found. Missing are those that did not turn up.
func Causes(ctx context.Context, out Output, s Search) (missing []string, err error) {
	l, err := lab.New(lab.Config{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	c := causes{Output: out, Search: s, lab: l, began: time.Now(), missing: map[string]bool{negative: true}}
	for _, cause := range model.Causes() {
		if cause.Breaks() != "" {
			c.missing[causeNames[cause]] = true
		}
	}
	fmt.Fprintf(out, "%d causes to find, from seed %d\n", len(c.missing), s.Seed)
	limited, cancel := context.WithTimeout(ctx, s.Time)
	defer cancel()
	for i := uint64(0); len(c.missing) > 0 && limited.Err() == nil; i++ {
		err := c.draw(limited, plan.Random(plan.Config{Steps: s.Steps, Auth: i%4 == 0}, s.Seed+i))
		if err != nil && limited.Err() == nil {
			return nil, err
		}
	}
	if err := c.watches(limited); err != nil {
		return nil, err
	}
	readme, err := foundReadme()
	if err != nil {
		return nil, err
	}
	file, err := Fixture(filepath.Join("found", "README.md"))
	if err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(c.missing)), os.WriteFile(file, []byte(readme), 0o644)
}

type causes struct {
	Output
	Search
	lab     *lab.Lab
	began   time.Time
	missing map[string]bool
}

// watches hunts for the causes by which promises about watches are broken. No model foretells them: the lab makes plans
// small.
func (c *causes) watches(ctx context.Context) error {
	missing := map[model.Cause]bool{}
	for _, cause := range model.WatchCauses() {
		if causeNames[cause] != "" {
			c.missing[causeNames[cause]], missing[cause] = true, true
		}
	}
	var failed error
	s := c.Search
	s.Checks = check.OfWatches()
	cfg := s.hunt(c.Output)
	cfg.Known = func(f hunt.Finding) bool { return !missing[f.Cause] }
	cfg.Once, cfg.Out, cfg.Dir, cfg.Time = true, nil, "", 0
	cfg.Enough = func(f hunt.Finding) bool {
		name := causeNames[f.Cause]
		delete(missing, f.Cause)
		delete(c.missing, name)
		fmt.Fprintf(c, "%6.1fs seed %-5d %s: %s\n", time.Since(c.began).Seconds(), f.From.Seed, name, f.Plan.Line())
		failed = kept{Check: f.Check, Fix: "none", Cause: string(f.Cause), Plan: f.Plan}.write(name)
		return failed != nil || len(missing) == 0
	}
	return errors.Join(hunt.Run(ctx, cfg, new(hunt.Tally)), failed)
}

// draw runs one plan, and keeps what of its causes is missing.
func (c *causes) draw(ctx context.Context, p plan.Plan) error {
	out, err := c.try(ctx, p)
	if err != nil || out.Broken() == nil {
		return err
	}
	list, err := model.Explain(p)
	if err != nil {
		return err
	}
	for _, f := range list {
		for name, symptom := range map[string]model.Symptom{causeNames[f.Cause]: "", negative: model.Negative} {
			if !c.missing[name] || symptom != "" && f.Symptom != symptom {
				continue
			}
			small := plan.Shrink(p, 0, func(q plan.Plan) bool {
				again, err := model.Explain(q)
				return err == nil && slices.ContainsFunc(again, func(g model.Finding) bool {
					return g.Cause == f.Cause && (symptom == "" || g.Symptom == symptom)
				})
			})
			out, err := c.try(ctx, small)
			if err != nil {
				return err
			}
			b := out.Broken()
			if b == nil {
				fmt.Fprintf(c, "%s: the model says so of '%s', and no check does\n", name, small.Line())
				continue
			}
			delete(c.missing, name)
			fmt.Fprintf(c, "%6.1fs seed %-5d %s: %s\n", time.Since(c.began).Seconds(), p.Seed, name, small.Line())
			if err := (kept{Check: b.Check, Fix: "none", Cause: string(f.Cause), Plan: small}).write(name); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *causes) try(ctx context.Context, p plan.Plan) (lab.Outcome, error) {
	out, err := c.lab.Try(ctx, p, c.Checks)
	if err != nil {
		err = fmt.Errorf("%w\nreplay: %s'%s'", err, c.command(), p.Line())
	}
	return out, err
}
