package main

import (
	"github.com/spf13/cobra"

	"ghostroute/scenarios"
	"ghostroute/scenarios/beyond"
)

func (c *command) incident() *cobra.Command {
	var on on
	cmd := on.flags(&cobra.Command{
		Use:   "incident",
		Short: "Tell the incident as it happens, on real parts",
		Long: "Start the incident's topology and tell, step by step, what the team that had it lived through. Every\n" +
			"step is asserted.",
		Example: "  ghostroute incident\n  ghostroute incident --client naming\n" +
			"  ghostroute incident --client period\n  ghostroute incident --on real --etcd 3.5",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			out, err := c.output("incident")
			if err != nil {
				return err
			}
			if on.client.value == naming && on.elsewhere() {
				return usagef("the incident of naming is told in this process: not with --on %s or --balancer", real)
			}
			runs, err := on.find(cmd.Context())
			if err != nil {
				return err
			}
			if on.client.value == naming {
				err = beyond.Incident(cmd.Context(), out)
			} else {
				err = scenarios.Incident(cmd.Context(), out, runs)
			}
			if err != nil {
				err = found{err}
			}
			return ended(cmd.Context(), err, "the story was not told to its end")
		},
	})
	on.balancerFlag(cmd)
	on.clientFlag(cmd)
	return c.keeps(cmd, "the folder for its history")
}
