package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ghostroute/harness/report"
	"ghostroute/harness/room"
	"ghostroute/harness/text"
	"ghostroute/scenarios"
)

// keptMemory is what the collector is held to: a report keeps every trial's history until it is written.
const keptMemory = 700 << 20

func (c *command) matrix() *cobra.Command {
	var scenario, fix string
	var part shard
	var on on
	times := uint(1)
	cmd := &cobra.Command{
		Use:   "matrix",
		Short: "Try every scenario against every fix, and write the page that shows it",
		Long: "Try scenarios against fixes, each read in two ways: by gateways that resolve on every request (is the\n" +
			"proxy cured?), and by go-micro's own, with its cache and its watch (are the users cured?). Each verdict is\n" +
			"compared with fixtures/verdicts.txt.\n" +
			"The page, the same as text, Markdown and JSON, and the history of each cell that moved are kept.",
		Example: "  ghostroute matrix\n  ghostroute matrix --balancer haproxy --scenario proxy-drained\n" +
			"  ghostroute matrix --scenario crash --fix ttl -o json\n" +
			"  ghostroute matrix --scenario last-instance --times 20\n" +
			"  ghostroute matrix --on real --etcd 3.5 --fix none\n  ghostroute matrix --client period --fix none\n" +
			"  ghostroute matrix --shard 2/4 --out shards/2 --junit shards/2/matrix.xml",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ss, fs, err := chosen(scenario, fix)
			if err != nil {
				return err
			}
			if on.client.value == naming {
				return usagef("naming's clients have scenarios of their own: ghostroute beyond, and of the matrix' those of " +
					"ghostroute clients --client grpc-resolver")
			}
			expected, err := scenarios.ReadExpected()
			if err != nil {
				return err
			}
			out, err := c.output("matrix", scenario, fix)
			if err != nil {
				return err
			}
			// It makes a folder a cell below this one, as out does where one cell is tried.
			m, err := scenarios.NewMatrix(expected, cmp.Or(c.dir, filepath.Join("artifacts", "matrix")))
			if err != nil {
				return err
			}
			m.Keep, m.Shard, m.Times = true, part.Shard, int(max(times, 1))
			runs, err := on.find(cmd.Context())
			if err != nil {
				return errors.Join(err, m.Close())
			}
			m.RunOn(runs)
			if !cmd.Flags().Changed("parallel") {
				c.parallel = uint(m.Room())
			}
			return c.tryAll(cmd.Context(), out, m, ss, fs)
		},
	}
	name(cmd, &scenario, "scenario", "try this one only", scenarios.Names())
	on.flags(cmd)
	on.balancerFlag(cmd)
	on.clientFlag(cmd)
	name(cmd, &fix, "fix", "try this one only", scenarios.FixNames())
	c.parallelFlag(cmd, 96)
	cmd.Flags().UintVar(&times, "times", 1, "how often each cell is tried: one that ever moves is told, and how often")
	c.junitFlag(cmd)
	part.flag(cmd, "cells")
	return c.results(c.keeps(cmd, "the folder for the page and the histories"))
}

// parallelFlag is the flag --parallel, of what mostly waits: for leases, for a cache to lapse.
func (c *command) parallelFlag(cmd *cobra.Command, most uint) {
	cmd.Flags().UintVar(&c.parallel, "parallel", most,
		"the most trials at a time; fewer where the machine does not keep up, and of processes four for each core")
}

func (c *command) junitFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.junit, "junit", "", "a file for the report as JUnit, a testcase a cell and reading")
}

// onGitHub says whether the output is read by GitHub's runner.
func onGitHub() bool { return os.Getenv("GITHUB_ACTIONS") == "true" }

// shard is the flag --shard.
type shard struct{ scenarios.Shard }

func (s *shard) Type() string { return "I/N" }

// flag gives a verb the flag, of what it takes a part.
func (s *shard) flag(cmd *cobra.Command, of string) {
	cmd.Flags().Var(s, "shard",
		"the I-th part of N of the "+of+"; N alone is the part that JOB_COMPLETION_INDEX says")
}

func (s *shard) Set(v string) (err error) {
	s.Shard, err = scenarios.ReadShard(v, os.Getenv("JOB_COMPLETION_INDEX"))
	return err
}

// chosen are the scenarios and fixes of those names, or all of them.
func chosen(scenario, fix string) (ss []scenarios.Scenario, fs []scenarios.Fix, err error) {
	if ss, err = only(scenarios.All(), scenario, scenarios.Named); err != nil {
		return nil, nil, err
	}
	fs, err = only(scenarios.Fixes(), fix, scenarios.FixNamed)
	return ss, fs, err
}

// tryAll runs the matrix and writes its report.
func (c *command) tryAll(ctx context.Context, out scenarios.Output, m *scenarios.Matrix,
	ss []scenarios.Scenario, fs []scenarios.Fix) error {
	for _, old := range []string{"html", "txt", "md", "json"} { // a report that is there is this run's
		_ = os.Remove(filepath.Join(out.Dir, "matrix."+old))
	}
	debug.SetMemoryLimit(keptMemory)
	progress := io.Writer(c.out)
	if c.json.value == "json" {
		progress = io.Discard
	}
	run, _, err := c.try(ctx, progress, m, ss, fs)
	if err != nil {
		return err
	}
	// Costs are those of a whole column, compared on one machine.
	if len(run.Cells) > 1 && m.Shard.Index <= 1 && m.On() == (scenarios.On{}) {
		if err := scenarios.Measure(ctx, run.Fixes); err != nil {
			return ended(ctx, err, "every cell was tried, the costs were not measured; no report was written")
		}
	}
	if err := c.writeReport(out, run); err != nil {
		return err
	}
	fmt.Fprintf(progress, "\nthe page: %s\n", filepath.Join(out.Dir, "matrix.html"))
	return movedError(run)
}

// try runs the matrix and says how far it is.
func (c *command) try(ctx context.Context, progress io.Writer, m *scenarios.Matrix,
	ss []scenarios.Scenario, fs []scenarios.Fix) (run report.Run, moved int, err error) {
	all, began, done := len(ss)*len(fs), time.Now(), 0
	of := ""
	if m.Shard.Of > 0 {
		of = ", of which shard " + m.Shard.String() + " has its part"
	}
	if m.Times > 1 {
		of += ", each " + text.Count(m.Times, "time")
	}
	fmt.Fprintf(progress, "%s to try%s\n", text.Count(all, "cell"), of)
	run, err = m.Try(ctx, ss, fs, int(max(c.parallel, 1)), func(n, of int, why []string) {
		done, all = n, of
		if len(why) > 0 {
			moved++
		}
		for _, w := range why {
			fmt.Fprintln(progress, w)
			if onGitHub() {
				title, _, _ := strings.Cut(w, "\n")
				fmt.Fprintln(progress, report.Annotation(title, w))
			}
		}
		if n%50 == 0 {
			fmt.Fprintf(progress, "%d of %d cells, %s\n", n, all, time.Since(began).Round(time.Second))
		}
	})
	closed := m.Close()
	for _, w := range m.Again() {
		fmt.Fprintln(progress, w)
	}
	stopped := fmt.Sprintf("%d of %d cells were tried, %d moved; nothing was written", done, all, moved)
	return run, moved, errors.Join(ended(ctx, err, stopped), closed)
}

// writeReport writes the report's files, and what is asked for to the output.
func (c *command) writeReport(out scenarios.Output, run report.Run) error {
	writers := map[string]func(io.Writer) error{
		"matrix.html": func(w io.Writer) error { return report.HTML(w, run) },
		"matrix.txt":  func(w io.Writer) error { return report.Terminal(w, run, report.Options{}) },
		"matrix.md":   func(w io.Writer) error { return report.Markdown(w, run) },
		"matrix.json": func(w io.Writer) error { return report.JSON(w, run) },
	}
	for name, write := range writers {
		if err := room.Write(filepath.Join(out.Dir, name), write); err != nil {
			return err
		}
	}
	if c.junit != "" {
		if err := room.Write(c.junit, func(w io.Writer) error { return report.JUnit(w, run) }); err != nil {
			return err
		}
	}
	if c.json.value == "json" {
		return report.JSON(out, run)
	}
	return report.Terminal(out, run, report.Options{Width: columns(c.out), Paint: text.Paint(out.Colour)})
}
