package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"ghostroute/harness/explore/hunt"
	"ghostroute/harness/explore/plan"
	"ghostroute/harness/text"
	"ghostroute/scenarios"
)

// search is what the explorer's verbs have flags for.
type search struct {
	fix, checks string
	time        time.Duration
	seed        uint64
	steps       int
}

// flags gives a verb the flags that all of them have.
func (s *search) flags(cmd *cobra.Command, long time.Duration) {
	cmd.Flags().DurationVar(&s.time, "time", long, "how long plans are drawn")
	cmd.Flags().Uint64Var(&s.seed, "seed", 0, "of the first plan; 0 is drawn from the clock")
	cmd.Flags().IntVar(&s.steps, "steps", 30, fmt.Sprintf("of a plan, at most; 1 to %d", plan.MaxSteps))
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
	o = scenarios.Search{Time: s.time, Seed: s.seed, Steps: s.steps}
	if o.Fix, err = scenarios.FixNamed(cmp.Or(s.fix, "none")); err != nil {
		return o, usage{err}
	}
	if s.checks != "" {
		if o.Checks, err = hunt.Checks(s.checks); err != nil {
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

func (c *command) explore() *cobra.Command {
	var s search
	cmd := &cobra.Command{
		Use:   "explore [PLAN|FILE]",
		Short: "Look for a plan that breaks a promise, or replay one",
		Long: "Draw random plans, run them on real members and proxies, and judge what came of them, until one breaks\n" +
			"a promise. It is made small and kept with its history. A plan in one line, or a file that holds one,\n" +
			"is run alone.",
		Example: "  ghostroute explore --fix ttl --checks convergence --time 60s --seed 7\n" +
			"  ghostroute explore fixtures/found/lost-txn.txt\n" +
			"  ghostroute explore 'plan members=3 proxies=2 clients=2 | read g1 p2 k1 | put g1 p1 k1'",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("explore takes one plan, in quotes, or one file, and was given %q", args)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := s.seeded()
			if err != nil {
				return err
			}
			var p plan.Plan
			if len(args) == 1 {
				if p, err = hunt.ReadPlan(args[0]); err != nil {
					return usage{err}
				}
			}
			out, err := c.output("explore")
			if err != nil {
				return err
			}
			asJSON := c.json.value == "json"
			if asJSON {
				out.Writer = io.Discard
			}
			var e scenarios.Explored
			if len(args) == 1 {
				e, err = scenarios.Replay(cmd.Context(), out, o, p)
			} else {
				e, err = scenarios.Explore(cmd.Context(), out, o)
			}
			if stopped := unfinished(cmd.Context(), text.Count(int(e.Plans), "plan")+" so far"); stopped != nil {
				return stopped
			}
			if err == nil && asJSON {
				err = json.NewEncoder(c.out).Encode(e)
			}
			if err == nil && len(e.Findings) > 0 {
				err = foundf("%s is broken under the fix %s", e.Findings[0].Check, e.Fix)
			}
			return err
		},
	}
	s.flags(cmd, time.Minute)
	s.fixFlag(cmd)
	s.checksFlag(cmd, "convergence")
	return c.results(c.keeps(cmd, "the folder for the evidence"))
}

func (c *command) soak() *cobra.Command {
	var s search
	cmd := &cobra.Command{
		Use:   "soak",
		Short: "Run plans for hours, the model held to each step",
		Long: "Run random plans on real members and proxies and hold the model to each step. A new cause of a broken\n" +
			"promise is kept with its history. Without --seed it goes on where the last soak stopped.",
		Example: "  ghostroute soak --time 8h",
		Args:    noArgs,
	}
	s.flags(cmd, time.Hour)
	s.fixFlag(cmd)
	s.checksFlag(cmd, "convergence,identity")
	return c.goesOn(cmd, s.parse, scenarios.Soak, "the next soak goes on from here")
}

func (c *command) agree() *cobra.Command {
	var s search
	cmd := &cobra.Command{
		Use:     "agree",
		Short:   "Hold the explorer's model to real members and proxies",
		Example: "  ghostroute agree --time 10m",
		Args:    noArgs,
	}
	s.flags(cmd, 10*time.Minute)
	return c.goesOn(cmd, s.seeded, scenarios.Agree, "until then model and machine agreed")
}

// goesOn makes a command of what goes on until it is told to end.
func (c *command) goesOn(cmd *cobra.Command, parse func() (scenarios.Search, error),
	f func(context.Context, scenarios.Output, scenarios.Search) error, then string) *cobra.Command {
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o, err := parse()
		if err != nil {
			return err
		}
		out, err := c.output(cmd.Name())
		if err != nil {
			return err
		}
		if err := f(cmd.Context(), out, o); err != nil {
			return err
		}
		return unfinished(cmd.Context(), then)
	}
	return c.keeps(cmd, "the folder for what is found")
}

func (c *command) claims() *cobra.Command {
	var s search
	cmd := &cobra.Command{
		Use:   "claims",
		Short: "Try to refute what each fix claims; writes fixtures/found/claims.md",
		Long: "Try to refute each promise of each fix by random plans, for --time a promise. What came of all fixes is\n" +
			"written to fixtures/found/claims.md; a plan that refutes a claim each time it is run is kept beside it.",
		Example: "  ghostroute claims --time 30s\n  ghostroute claims --fix ttl",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := s.seeded()
			if err != nil {
				return err
			}
			fixes := scenarios.Fixes()
			if s.fix != "" {
				fixes = []scenarios.Fix{o.Fix}
			}
			err = scenarios.Claims(cmd.Context(), scenarios.Output{Writer: c.out}, o, fixes)
			stopped := unfinished(cmd.Context(), "not every claim was tried; claims.md is as it was")
			if stopped != nil {
				return stopped
			}
			return err
		},
	}
	s.flags(cmd, 5*time.Second)
	s.fixFlag(cmd)
	return cmd
}

func (c *command) causes() *cobra.Command {
	s := search{checks: "convergence,identity"}
	cmd := &cobra.Command{
		Use:     "causes",
		Short:   "Find every cause anew by which the stock proxy is wrong; writes fixtures/found",
		Example: "  ghostroute causes --time 10m",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := s.seeded()
			if err != nil {
				return err
			}
			missing, err := scenarios.Causes(cmd.Context(), scenarios.Output{Writer: c.out}, o)
			left := fmt.Sprintf("from seed %d these never turned up: %s", o.Seed, text.And(missing))
			if stopped := unfinished(cmd.Context(), left); stopped != nil {
				return stopped
			}
			if err == nil && len(missing) > 0 {
				return foundf("%s", left)
			}
			return err
		},
	}
	s.flags(cmd, 10*time.Minute)
	return cmd
}
