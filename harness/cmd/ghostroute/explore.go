package main

import (
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

func (c *command) explore() *cobra.Command {
	var s search
	var expected bool
	var on on
	cmd := &cobra.Command{
		Use:   "explore [PLAN|FILE]",
		Short: "Look for a plan that breaks a promise, or replay one",
		Long: "Draw random plans, run them on real members and proxies, and judge what came of them, until one breaks\n" +
			"a promise. It is made small and kept with its history. A plan in one line, or a file that holds one,\n" +
			"is run alone. Plans have watches where a check about watches is asked for: delivery, own-range, meeting,\n" +
			"reason, leader or ahead.\n\n" +
			"With --expected it is a regression test: it runs the plans of fixtures/found that are the fix's, each of\n" +
			"which must break its promise still, and draws as many as --plans says, from seed 1 unless --seed says\n" +
			"another, each of which may break what is expected only. It ends with 1 if anything is new or gone.",
		Example: "  ghostroute explore --fix ttl --checks convergence --time 60s --seed 7\n" +
			"  ghostroute explore --checks delivery,meeting\n" +
			"  ghostroute explore fixtures/found/lost-txn.txt\n" +
			"  ghostroute explore --expected --fix none\n" +
			"  ghostroute explore 'plan members=3 proxies=2 clients=2 | read g1 p2 k1 | put g1 p1 k1'",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("explore takes one plan, in quotes, or one file, and was given %q", args)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if expected && len(args) > 0 {
				return usagef("--expected draws plans of its own, and was given one")
			}
			if expected {
				s.regress(cmd)
			}
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
			if o.On, err = on.find(cmd.Context()); err != nil {
				return err
			}
			asJSON := c.json.value == "json"
			if asJSON {
				out.Writer = io.Discard
			}
			var e scenarios.Explored
			switch {
			case len(args) == 1:
				e, err = scenarios.Replay(cmd.Context(), out, o, p)
			case expected:
				e, err = scenarios.Regress(cmd.Context(), out, o)
			default:
				e, err = scenarios.Explore(cmd.Context(), out, o)
			}
			if err == nil && asJSON {
				err = json.NewEncoder(c.out).Encode(e)
			}
			if err == nil && expected && len(e.Findings) > 0 {
				err = foundf("the fix %s does not break what it is expected to: %s new or gone", e.Fix,
					text.Count(len(e.Findings), "cause"))
			} else if err == nil && len(e.Findings) > 0 {
				err = foundf("%s is broken under the fix %s", e.Findings[0].Check, e.Fix)
			}
			return ended(cmd.Context(), err, text.Count(int(e.Plans), "plan")+" so far")
		},
	}
	s.flags(cmd, time.Minute)
	s.fixFlag(cmd)
	on.flags(cmd)
	on.balancerFlag(cmd)
	s.checksFlag(cmd, "convergence")
	s.plansFlag(cmd)
	cmd.Flags().BoolVar(&expected, "expected", false, "say what is new or gone, compared with what is expected")
	return c.results(c.keeps(cmd, "the folder for the evidence"))
}
