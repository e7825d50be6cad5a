package main

import (
	"github.com/spf13/cobra"

	"ghostroute/scenarios"
)

func (c *command) incident() *cobra.Command {
	var on on
	return c.keeps(on.flags(&cobra.Command{
		Use:   "incident",
		Short: "Tell the incident as it happens, on real parts",
		Long: "Start the incident's topology and tell, step by step, what the team that had it lived through. Every\n" +
			"step is asserted.",
		Example: "  ghostroute incident\n  ghostroute incident --on real --etcd 3.5",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			out, err := c.output("incident")
			if err != nil {
				return err
			}
			runs, err := on.find(cmd.Context())
			if err != nil {
				return err
			}
			if err = scenarios.Incident(cmd.Context(), out, runs); err != nil {
				err = found{err}
			}
			return ended(cmd.Context(), err, "the story was not told to its end")
		},
	}), "the folder for its history")
}
