package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"ghostroute/harness/text"
	"ghostroute/scenarios"
)

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
			if err == nil && len(missing) > 0 {
				err = foundf("%s", left)
			}
			return ended(cmd.Context(), err, left)
		},
	}
	s.flags(cmd, 10*time.Minute)
	return cmd
}
