package main

import (
	"os"

	"github.com/spf13/cobra"

	"ghostroute/harness/text"
	"ghostroute/scenarios"
)

func (c *command) stress() *cobra.Command {
	var incidents, suites, races, parallel uint
	var part shard
	cmd := &cobra.Command{
		Use:   "stress",
		Short: "Run the incident and the tests again and again on a busy machine: none may fail",
		Long: "Run the incident, the tests of the scenarios, and all tests under the race detector again and again,\n" +
			"beside two busy loops. The log of each run that failed is kept. A stress that was interrupted is gone on with.",
		Example: "  ghostroute stress\n  ghostroute stress --incidents 30 --suites 0 --race 0",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			program, err := os.Executable()
			if err != nil {
				return err
			}
			out, err := c.output("stress")
			if err != nil {
				return err
			}
			test := func(args ...string) []string {
				return append([]string{"go", "test", "-count=1", "-timeout", "60m"}, args...)
			}
			failed, err := scenarios.Stress(cmd.Context(), out, []scenarios.Bout{
				{Name: "incident", Times: part.Share(int(incidents)), Under: true, AtATime: int(parallel),
					Command: []string{program, "incident", "--out"}},
				{Name: "suite", Times: part.Share(int(suites)), Command: test("./scenarios/...")},
				{Name: "race", Times: part.Share(int(races)), Command: test("-race", "-exec", "env GOGC=25", "./...")},
			})
			if err == nil && failed > 0 {
				err = foundf("%s failed", text.Count(failed, "run"))
			}
			return ended(cmd.Context(), err, "the next stress goes on from here")
		},
	}
	cmd.Flags().UintVar(&incidents, "incidents", 1000, "runs of the incident")
	cmd.Flags().UintVar(&suites, "suites", 30, "runs of the tests of the scenarios")
	cmd.Flags().UintVar(&races, "race", 5, "runs of all tests under the race detector")
	part.flag(cmd, "runs")
	cmd.Flags().UintVar(&parallel, "parallel", 4, "incidents at a time; they mostly wait, the tests do not")
	return c.keeps(cmd, "the folder for the logs")
}
