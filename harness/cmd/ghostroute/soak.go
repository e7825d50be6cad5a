package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"ghostroute/scenarios"
)

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
		return ended(cmd.Context(), f(cmd.Context(), out, o), then)
	}
	return c.keeps(cmd, "the folder for what is found")
}
