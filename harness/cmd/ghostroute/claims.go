package main

import (
	"time"

	"github.com/spf13/cobra"

	"ghostroute/scenarios"
)

func (c *command) claims() *cobra.Command {
	var s search
	cmd := &cobra.Command{
		Use:   "claims",
		Short: "Try to refute what each fix claims; writes fixtures/found/claims.md",
		Long: "Try to refute each promise of each fix by random plans, for --time a promise. What came of it is\n" +
			"written to fixtures/found/claims.md, where with --fix the rows of other fixes stay as they are; a plan that\n" +
			"refutes a claim each time it is run is kept beside it.",
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
			return ended(cmd.Context(), err, "not every claim was tried; claims.md is as it was")
		},
	}
	s.flags(cmd, 5*time.Second)
	s.fixFlag(cmd)
	return cmd
}
