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
	cmd := &cobra.Command{
		Use:   "verdicts",
		Short: "Accept what the matrix finds: rewrite fixtures/verdicts.txt and the tables made of it",
		Long: "Try every scenario against every fix and write what was found to fixtures: verdicts.txt, matrix.md and\n" +
			"fixes.md, and seconds.txt, by which shards are dealt. Look at git diff afterwards. A verdict of unknown is\n" +
			"never accepted; nothing is written if the run does not come to its end.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			expected, err := scenarios.ReadExpected()
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
			run, moved, err := c.try(cmd.Context(), c.out, m, scenarios.All(), scenarios.Fixes())
			if err != nil {
				return err
			}
			all, unknown := m.Found()
			if err := errors.Join(all.WriteExpected(), scenarios.WriteSeconds(run)); err != nil {
				return err
			}
			fmt.Fprintf(c.out, "%s moved: look at git diff fixtures\n", text.Count(moved, "cell"))
			if len(unknown) > 0 {
				return foundf("never accepted, unknown: %s", strings.Join(unknown, ", "))
			}
			return nil
		},
	}
	c.parallelFlag(cmd)
	return c.keeps(cmd, "the folder for the histories of what moved")
}
