package main

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ghostroute/harness/explore/plan"
	"ghostroute/scenarios"
)

// search is what the explorer's verbs have flags for.
type search struct {
	fix, checks string
	time        time.Duration
	plans       uint
	seed        uint64
	steps       int
}

// flags gives a verb the flags that all of them have.
func (s *search) flags(cmd *cobra.Command, long time.Duration) {
	cmd.Flags().DurationVar(&s.time, "time", long, "how long plans are drawn")
	cmd.Flags().Uint64Var(&s.seed, "seed", 0, "of the first plan; 0 is drawn from the clock")
	cmd.Flags().IntVar(&s.steps, "steps", 30, fmt.Sprintf("of a plan, at most; 1 to %d", plan.MaxSteps))
}

// plansFlag gives a verb the flag --plans.
func (s *search) plansFlag(cmd *cobra.Command) {
	cmd.Flags().UintVar(&s.plans, "plans", 0, "how many plans are drawn, instead of for how long")
}

// fixFlag gives a verb the flag --fix, checksFlag --checks.
func (s *search) fixFlag(cmd *cobra.Command) {
	name(cmd, &s.fix, "fix", "a fix of the matrix", scenarios.FixNames())
}

func (s *search) checksFlag(cmd *cobra.Command, checks string) {
	cmd.Flags().StringVar(&s.checks, "checks", checks, "promises, with commas between, or all")
}

// parse is what the flags ask for.
func (s *search) parse() (o scenarios.Search, err error) {
	o = scenarios.Search{Time: s.time, Plans: int64(s.plans), Seed: s.seed, Steps: s.steps}
	if o.Fix, err = scenarios.FixNamed(cmp.Or(s.fix, "none")); err != nil {
		return o, usage{err}
	}
	if s.checks != "" {
		if o.Checks, err = o.Fix.Checks(s.checks); err != nil {
			return o, usage{err}
		}
	}
	if s.time <= 0 {
		return o, usagef("--time is %v: it may be 30s, 10m, 1h …", s.time)
	}
	if s.steps < 1 || s.steps > plan.MaxSteps {
		return o, usagef("--steps is %d: it may be 1 to %d", s.steps, plan.MaxSteps)
	}
	return o, nil
}

// seeded is parse with a seed in any case.
func (s *search) seeded() (scenarios.Search, error) {
	if s.seed == 0 {
		s.seed = uint64(time.Now().UnixNano())
	}
	return s.parse()
}

// regress fills in what a regression test is asked for where no flag says otherwise: it tries the same each time, and
// holds a fix to what it promises.
func (s *search) regress(cmd *cobra.Command) {
	if s.seed == 0 {
		s.seed = 1
	}
	if s.plans == 0 {
		s.plans = 100
	}
	fix, err := scenarios.FixNamed(cmp.Or(s.fix, "none"))
	if cmd.Flags().Changed("checks") || err != nil { // which parse says better
		return
	}
	s.checks = "convergence,identity"
	if len(fix.Promises) > 0 {
		s.checks = strings.Join(fix.Promises, ",")
	}
}
