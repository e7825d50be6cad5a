package main

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"

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
			var moved, unknown []string
			moves := []mutant.Move{}
			pairs := beyond.Pairs(ss, func(beyond.Scenario) []beyond.Fix { return fs })
			err = t.Try(cmd.Context(), pairs, int(max(c.parallel, 1)), func(_ beyond.Pair, cell beyond.Cell) {
				fmt.Fprintln(c.out, cell)
				if cell.News == "" {
					return
				}
				moved = append(moved, cell.News)
				moves = append(moves, mutant.Move{Scenario: cell.Scenario, Fix: cell.Fix, Reading: beyondReading,
					Verdict: cell.Verdict.Label()})
				if cell.Verdict.Outcome == "unknown" {
					unknown = append(unknown, cell.Scenario+"/"+cell.Fix)
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
			if accept {
				if err := expected.Accept(); err != nil {
					return err
				}
				fmt.Fprintf(c.out, "%s moved: look at git diff fixtures\n", text.Count(len(moved), "cell"))
				if len(unknown) > 0 {
					slices.Sort(unknown)
					return foundf("never accepted, unknown: %s", text.And(unknown))
				}
				return nil
			}
			for _, news := range moved {
				fmt.Fprintln(c.out, "\n"+news)
			}
			if len(moved) > 0 {
				return foundf("%s moved", text.Count(len(moved), "cell"))
			}
			return nil
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
	ss, fs = beyond.Scenarios(), beyond.Fixes()
	if scenario != "" {
		s, err := beyond.Named(scenario)
		if err != nil {
			return nil, nil, usage{err}
		}
		ss = []beyond.Scenario{s}
	}
	if fix != "" {
		f, err := beyond.FixNamed(fix)
		if err != nil {
			return nil, nil, usage{err}
		}
		fs = []beyond.Fix{f}
	}
	return ss, fs, nil
}
