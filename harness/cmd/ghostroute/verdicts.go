package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"ghostroute/harness/text"
	"ghostroute/scenarios"
)

func (c *command) verdicts() *cobra.Command {
	var scenario, fix string
	cmd := &cobra.Command{
		Use:   "verdicts",
		Short: "Accept what the matrix finds: rewrite fixtures/verdicts.txt and the tables made of it",
		Long: "Try every scenario against every fix and write what was found to fixtures: verdicts.txt, matrix.md and\n" +
			"fixes.md, and seconds.txt, by which shards are dealt. Look at git diff afterwards. A verdict of unknown is\n" +
			"never accepted; nothing is written if the run does not come to its end. Of one scenario or one fix alone the\n" +
			"others' verdicts stay, and seconds.txt as it is.",
		Example: "  ghostroute verdicts\n  ghostroute verdicts --fix evict",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ss, fs, err := chosen(scenario, fix)
			if err != nil {
				return err
			}
			expected, err := scenarios.ReadExpected()
			if err != nil && (scenario != "" || fix != "") {
				return fmt.Errorf("what was expected of the others would be lost: %w", err)
			}
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				fmt.Fprintf(c.out, "what was expected is read no further than this: %v\n", err)
			}
			out, err := c.output("verdicts")
			if err != nil {
				return err
			}
			m, err := scenarios.NewMatrix(expected, out.Dir)
			if err != nil {
				return err
			}
			run, moved, err := c.try(cmd.Context(), c.out, m, ss, fs)
			if err != nil {
				return err
			}
			all, unknown := m.Found()
			err = all.WriteExpected()
			if err == nil && scenario == "" && fix == "" {
				err = scenarios.WriteSeconds(run)
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(c.out, "%s moved: look at git diff fixtures\n", text.Count(moved, "cell"))
			if len(unknown) > 0 {
				return foundf("never accepted, unknown: %s", strings.Join(unknown, ", "))
			}
			return nil
		},
	}
	name(cmd, &scenario, "scenario", "try this one only", scenarios.Names())
	name(cmd, &fix, "fix", "try this one only", scenarios.FixNames())
	c.parallelFlag(cmd, 96)
	return c.keeps(cmd, "the folder for the histories of what moved")
}
