package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ghostroute/harness/mutant"
	"ghostroute/harness/report"
	"ghostroute/harness/text"
	"ghostroute/harness/verdict"
	"ghostroute/scenarios"
)

// serverModule is the module of etcd that mutants change.
const serverModule = "go.etcd.io/etcd/server/v3"

// mutating is a run of mutants on one copy of etcd's server module.
type mutating struct {
	*command
	dir    string // where results are kept, a folder a mutant
	top    string // the repository
	resume bool
	began  time.Time
}

func (c *command) mutants() *cobra.Command {
	var resume, write bool
	cmd := &cobra.Command{
		Use:   "mutants [NAME...]",
		Short: "Change etcd's proxy a line at a time, and see that the matrix notices each",
		Long: "Patch a copy of etcd's server module with each of fixtures/mutants, build ghostroute with it, try every\n" +
			"scenario, and compare the cells that moved with those that the mutant's file foretells. A mutant is killed\n" +
			"by exactly these, killed otherwise, or survives.",
		Example: "  ghostroute mutants\n  ghostroute mutants put-clears-nothing\n  ghostroute mutants --resume --write",
		RunE: func(cmd *cobra.Command, names []string) error {
			at, err := scenarios.Fixture("mutants")
			if err != nil {
				return err
			}
			all, err := mutant.ReadAll(at, names...)
			if err != nil {
				return usage{err}
			}
			if write && len(names) > 0 {
				return usagef("--write writes the table of all mutants, and was given %s", text.And(names))
			}
			out, err := c.output("mutants")
			if err != nil {
				return err
			}
			m := mutating{command: c, top: filepath.Dir(filepath.Dir(at)), resume: resume, began: time.Now()}
			if m.dir, err = filepath.Abs(out.Dir); err != nil {
				return err
			}
			outcomes, err := m.tryAll(cmd.Context(), all)
			if err != nil {
				stopped := fmt.Sprintf("%d of %s were tried; --resume goes on", len(outcomes), text.Count(len(all), "mutant"))
				return ended(cmd.Context(), err, stopped)
			}
			table := mutant.Table(outcomes)
			fmt.Fprint(c.out, "\n", table)
			if write {
				if err := mutant.WriteTable(filepath.Join(at, "README.md"), table); err != nil {
					return err
				}
			}
			return m.verdict(outcomes)
		},
	}
	cmd.Flags().BoolVar(&resume, "resume", false, "keep the results of an earlier run in the same folder")
	cmd.Flags().BoolVar(&write, "write", false, "write the table to fixtures/mutants/README.md")
	return c.keeps(cmd, "the folder for the copy of etcd and what each mutant came to")
}

// verdict is the error of a run in which one survived, or was killed otherwise than foretold.
func (m *mutating) verdict(all []mutant.Outcome) error {
	count := map[mutant.Fate]int{}
	for _, o := range all {
		count[o.Fate()]++
	}
	if n, other := count[mutant.Survived], count[mutant.Otherwise]; n+other > 0 {
		return foundf("of %s %d survived and %d came to something else than foretold",
			text.Count(len(all), "mutant"), n, other)
	}
	return nil
}

// tryAll tries one after another: the build wants every core, and so does the matrix.
func (m *mutating) tryAll(ctx context.Context, all []mutant.Mutant) (outcomes []mutant.Outcome, err error) {
	if err := m.copyModule(ctx); err != nil {
		return nil, err
	}
	for i, mu := range all {
		began := time.Now()
		o := mutant.Outcome{Mutant: mu}
		if err := m.try(ctx, &o); err != nil {
			return outcomes, fmt.Errorf("%s: %w", mu.Name, err)
		}
		outcomes = append(outcomes, o)
		fmt.Fprintf(m.out, "%d of %d  %-30s %s  (built in %s, %s in all)\n", i+1, len(all), mu.Name, o,
			o.Built.Round(time.Second), time.Since(began).Round(time.Second))
	}
	return outcomes, nil
}

// module is the copy of etcd's server module. Its place stays the same, so that go builds anew only what a mutant
// changed, and what imports that.
func (m *mutating) module() string { return filepath.Join(m.dir, ".etcd", "server") }

func (m *mutating) modfile() string { return filepath.Join(m.dir, ".etcd", "go.mod") }

// copyModule copies the module out of the module cache, and a go.mod that names the copy.
func (m *mutating) copyModule(ctx context.Context) error {
	where, err := m.goCommand(ctx, "list", "-m", "-f", "{{.Dir}}", serverModule)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(m.dir, ".etcd")); err != nil {
		return err
	}
	if err := os.CopyFS(m.module(), os.DirFS(strings.TrimSpace(where))); err != nil {
		return err
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		b, err := os.ReadFile(filepath.Join(m.top, name))
		if err != nil {
			return err
		}
		// Replacements by folders of the repository are relative to it, whichever the file.
		if err := os.WriteFile(filepath.Join(m.dir, ".etcd", name), b, 0o644); err != nil {
			return err
		}
	}
	_, err = m.goCommand(ctx, "mod", "edit", "-replace", serverModule+"="+m.module(), m.modfile())
	return err
}

// goCommand runs the go command in the repository.
func (m *mutating) goCommand(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = m.top
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		err = fmt.Errorf("go %s: %w\n%s", args[0], err, exit.Stderr)
	}
	return string(out), err
}

// try applies one mutant, builds, and tries it in its columns.
func (m *mutating) try(ctx context.Context, o *mutant.Outcome) error {
	dir := filepath.Join(m.dir, o.Name)
	if m.resume && o.Read(filepath.Join(dir, "result.json")) {
		return nil
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := o.Apply(ctx, m.module()); err != nil {
		return err
	}
	began := time.Now()
	binary := filepath.Join(m.dir, ".etcd", "ghostroute")
	_, err := m.goCommand(ctx, "build", "-modfile", m.modfile(), "-ldflags=-s -w", "-o", binary,
		"./harness/cmd/ghostroute")
	o.Built = time.Since(began)
	if err := errors.Join(err, o.Apply(context.WithoutCancel(ctx), m.module(), "-R")); err != nil {
		return err
	}
	for _, fix := range o.Fixes() {
		moved, err := m.matrix(ctx, binary, filepath.Join(dir, fix), "--fix", fix)
		if err != nil {
			return err
		}
		o.Moved = append(o.Moved, moved...)
	}
	if err := m.again(ctx, binary, o); err != nil {
		return err
	}
	return o.Write(filepath.Join(dir, "result.json"))
}

// matrix runs the matrix of a mutated ghostroute, and returns what moved.
func (m *mutating) matrix(ctx context.Context, binary, out string, args ...string) ([]mutant.Move, error) {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(out, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.CommandContext(ctx, binary, append([]string{"matrix", "--out", out}, args...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = m.top, log, log
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it ends what it began
	cmd.WaitDelay = time.Minute
	err = cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() == codeFound {
		err = nil
	}
	if err != nil {
		return nil, fmt.Errorf("the matrix did not run, see %s: %w", log.Name(), err)
	}
	return moves(filepath.Join(out, "matrix.json"))
}

// again tries once more, alone, what came to unknown and was not to: a premise was broken, which the machine may do.
func (m *mutating) again(ctx context.Context, binary string, o *mutant.Outcome) error {
	_, more := o.Difference(o.Moved)
	for _, move := range more {
		if !strings.HasPrefix(move.Verdict, string(verdict.Unknown)) {
			continue
		}
		fmt.Fprintf(m.out, "%s: %s, and is tried again\n", o.Name, move)
		out := filepath.Join(m.dir, o.Name, move.Fix, "again")
		moved, err := m.matrix(ctx, binary, out, "--scenario", move.Scenario, "--fix", move.Fix)
		if err != nil {
			return err
		}
		o.Moved = slices.DeleteFunc(o.Moved, func(is mutant.Move) bool { return is.Cell() == move.Cell() })
		for _, is := range moved {
			if is.Cell() == move.Cell() {
				o.Moved = append(o.Moved, is)
			}
		}
	}
	return nil
}

// moves are the readings of a report that are not as expected.
func moves(file string) (moved []mutant.Move, err error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var run report.Run
	if err := json.Unmarshal(b, &run); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	for _, cell := range run.Cells {
		for _, r := range cell.Readings {
			if is := r.Verdict.Label(); is != r.Expected {
				moved = append(moved, mutant.Move{Scenario: cell.Scenario, Fix: cell.Fix, Reading: r.Name, Verdict: is})
			}
		}
	}
	return moved, nil
}
