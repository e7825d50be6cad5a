package main

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"ghostroute/harness/mutant"
	"ghostroute/harness/room"
	"ghostroute/harness/text"
	"ghostroute/scenarios/beyond"
)

// beyondMoved is the file of what moved, for who tries patches; the reading of each is beyondReading.
const (
	beyondMoved   = "moved.json"
	beyondReading = "beyond"
)

func (c *command) beyond() *cobra.Command {
	var scenario, fix string
	var accept bool
	names := func() (ss, fs []string) {
		return text.Each(beyond.Scenarios(), func(s beyond.Scenario) string { return s.Name }),
			text.Each(beyond.Fixes(), func(f beyond.Fix) string { return f.Name })
	}
	cmd := &cobra.Command{
		Use:   "beyond",
		Short: "Try what is wrong with a grpc-proxy's watches and leases, and what cures it",
		Long: "Try scenarios about watches, leases and identities against fixes. Each verdict is compared with\n" +
			"fixtures/beyond.txt; fixtures/beyond.md says what each is about, and the line of etcd that explains it.\n" +
			"With --accept both are rewritten; a verdict of unknown is never accepted.",
		Example: "  ghostroute beyond\n  ghostroute beyond --scenario two-users --fix per-identity",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ss, fs, err := beyondChosen(scenario, fix)
			if err != nil {
				return err
			}
			expected, err := beyond.Expected()
			if err != nil {
				if !accept {
					return err
				}
				expected = beyond.Verdicts{}
			}
			out, err := c.output("beyond")
			if err != nil {
				return err
			}
			t, err := beyond.NewTable(expected, out.Dir)
			if err != nil {
				return err
			}
			var n tally
			moves := []mutant.Move{}
			pairs := beyond.Pairs(ss, func(beyond.Scenario) []beyond.Fix { return fs })
			err = t.Try(cmd.Context(), pairs, int(max(c.parallel, 1)), func(_ beyond.Pair, cell beyond.Cell) {
				fmt.Fprintln(c.out, cell)
				if cell.News == "" {
					return
				}
				n.moved = append(n.moved, cell.News)
				moves = append(moves, mutant.Move{Scenario: cell.Scenario, Fix: cell.Fix, Reading: beyondReading,
					Verdict: cell.Verdict.Label()})
				if cell.Verdict.Outcome == "unknown" {
					n.unknown = append(n.unknown, cell.Scenario+"/"+cell.Fix)
				} else if accept {
					expected[cell.Key] = cell.Verdict.Label()
				}
			})
			if cerr := t.Close(); err == nil {
				err = cerr
			}
			if err != nil {
				return ended(cmd.Context(), err, "nothing was written")
			}
			err = room.Write(filepath.Join(out.Dir, beyondMoved), func(w io.Writer) error {
				return json.NewEncoder(w).Encode(moves)
			})
			if err != nil {
				return err
			}
			return c.told(n, accept, expected.Accept)
		},
	}
	scenarioNames, fixNames := names()
	name(cmd, &scenario, "scenario", "try this one only", scenarioNames)
	name(cmd, &fix, "fix", "try this one only", fixNames)
	cmd.Flags().BoolVar(&accept, "accept", false, "rewrite fixtures/beyond.txt and fixtures/beyond.md")
	c.parallelFlag(cmd, 12)
	return c.keeps(cmd, "the folder for the histories of what moved, and the list of that")
}

// beyondChosen are the scenarios and fixes of those names, or all of them.
func beyondChosen(scenario, fix string) (ss []beyond.Scenario, fs []beyond.Fix, err error) {
	if ss, err = only(beyond.Scenarios(), scenario, beyond.Named); err != nil {
		return nil, nil, err
	}
	fs, err = only(beyond.Fixes(), fix, beyond.FixNamed)
	return ss, fs, err
}
