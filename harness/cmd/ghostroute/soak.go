package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"ghostroute/harness/text"
	"ghostroute/scenarios"
)

func (c *command) soak() *cobra.Command {
	var s search
	var part shard
	cmd := &cobra.Command{
		Use:   "soak",
		Short: "Run plans for hours, the model held to each step",
		Long: "Run random plans on real members and proxies and hold the model to each step. It goes on past what the\n" +
			"fix is expected to break; what else it finds is kept with its history, beside what was found before.\n" +
			"Without --seed it goes on where the last soak stopped.",
		Example: "  ghostroute soak --time 8h\n  ghostroute soak --plans 200 --seed 1",
		Args:    noArgs,
	}
	s.flags(cmd, time.Hour)
	s.plansFlag(cmd)
	s.fixFlag(cmd)
	s.checksFlag(cmd, "convergence,identity")
	part.flag(cmd, "plans, a part with seeds of its own; it takes a --seed")
	parse := func() (scenarios.Search, error) {
		o, err := s.parse()
		if err == nil && part.Of > 0 && s.seed == 0 {
			err = usagef("a shard of a soak wants a --seed, the same for all shards: each begins far from the others")
		}
		o.Seed = part.Seed(o.Seed)
		return o, err
	}
	return c.goesOn(cmd, parse, scenarios.Soak, "the next soak goes on from here")
}

func (c *command) agree() *cobra.Command {
	var s search
	cmd := &cobra.Command{
		Use:     "agree",
		Short:   "Hold the explorer's model to real members and proxies",
		Example: "  ghostroute agree --time 10m\n  ghostroute agree --on real --etcd 3.5",
		Args:    noArgs,
	}
	s.flags(cmd, 10*time.Minute)
	return c.goesOn(cmd, s.seeded, scenarios.Agree, "until then model and machine agreed")
}

// goesOn makes a command of what goes on until it is told to end.
func (c *command) goesOn(cmd *cobra.Command, parse func() (scenarios.Search, error),
	f func(context.Context, scenarios.Output, scenarios.Search) (int, error), then string) *cobra.Command {
	var on on
	on.flags(cmd)
	on.balancerFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o, err := parse()
		if err != nil {
			return err
		}
		if o.On, err = on.find(cmd.Context()); err != nil {
			return err
		}
		out, err := c.output(cmd.Name())
		if err != nil {
			return err
		}
		n, err := f(cmd.Context(), out, o)
		if err == nil && n > 0 {
			err = foundf("%s that the fix %s is not expected to break", text.Count(n, "promise"), o.Fix.Name)
		}
		return ended(cmd.Context(), err, then)
	}
	return c.keeps(cmd, "the folder for what is found")
}
