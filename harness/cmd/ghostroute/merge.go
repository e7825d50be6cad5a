package main

import (
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"

	"ghostroute/harness/report"
	"ghostroute/harness/text"
	"ghostroute/scenarios"
)

func (c *command) merge() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "merge DIR...",
		Short: "Make one report of the matrix' shards",
		Long: "Make one report of what the shards of a matrix left in these folders, each by matrix --shard I/N\n" +
			"--out DIR. What moved, and a shard that is missing, is an error.",
		Example: "  ghostroute merge shards/1 shards/2 shards/3 shards/4 --out artifacts/matrix --junit matrix.xml",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fmt.Errorf("%s takes the folders of the shards, and was given none", cmd.Name())
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			debug.SetMemoryLimit(keptMemory)
			run, missing, err := scenarios.Merge(args)
			if err != nil {
				return err
			}
			out, err := c.output("merge")
			if err != nil {
				return err
			}
			if err := c.writeReport(out, run); err != nil {
				return err
			}
			if len(missing) > 0 {
				what := text.Count(len(missing), "shard") + " missing"
				if onGitHub() {
					fmt.Fprintln(c.out, report.Annotation(what, text.And(missing)))
				}
				return foundf("%s: %s", what, text.And(missing))
			}
			return movedError(run)
		},
	}
	c.junitFlag(cmd)
	return c.results(c.keeps(cmd, "the folder for the report"))
}

// movedError says how many cells moved, nil for none.
func movedError(run report.Run) error {
	moved := 0
	for _, c := range run.Cells {
		for _, r := range c.Readings {
			if r.News != "" {
				moved++
				break
			}
		}
	}
	if moved > 0 {
		return foundf("%s moved of %d", text.Count(moved, "cell"), len(run.Cells))
	}
	return nil
}
