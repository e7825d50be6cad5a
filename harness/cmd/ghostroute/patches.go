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
	"ghostroute/harness/patch"
	"ghostroute/harness/text"
	"ghostroute/scenarios"
)

func (c *command) patches() *cobra.Command {
	var list string
	var write, integration, resume bool
	cmd := &cobra.Command{
		Use:   "patches",
		Short: "Apply our patches for etcd one by one, test each, and see which cells it moves",
		Long: "Apply fixtures/patches to a copy of etcd's server module, one on top of another. After each the package's\n" +
			"own tests are run, and ghostroute is built with it and tries every scenario, of watches and leases too, in\n" +
			"the column none. What moved is what moved since the patch before; what a patch adds and leaves off is tried\n" +
			"once more with that turned on. What moves is foretold by the table in fixtures/patches/README.md: where it\n" +
			"differs the command ends with 1.",
		Example: "  ghostroute patches\n  ghostroute patches --scenarios some.txt\n  ghostroute patches --write\n" +
			"  ghostroute patches --integration",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case write && list != "":
				return usagef("--write writes the table of all scenarios, and these are some of them")
			case integration && (write || list != ""):
				return usagef("--integration runs etcd's tests and no scenario: it goes with neither --write nor --scenarios")
			case resume && !integration:
				return usagef("--resume goes on with --integration")
			}
			names, err := listed(list)
			if err != nil {
				return usage{err}
			}
			at, err := scenarios.Fixture("patches")
			if err != nil {
				return err
			}
			all, err := patch.ReadAll(at)
			if err != nil {
				return usage{err}
			}
			out, err := c.output("patches")
			if err != nil {
				return err
			}
			s := series{mutating: mutating{command: c, top: filepath.Dir(filepath.Dir(at))}, scenarios: names}
			if s.dir, err = filepath.Abs(out.Dir); err != nil {
				return err
			}
			if integration {
				return s.integrate(cmd.Context(), all, resume)
			}
			page := filepath.Join(at, "README.md")
			b, err := os.ReadFile(page)
			if err != nil {
				return err
			}
			foretold, err := patch.ReadForetold(string(b))
			if err != nil && !write {
				return usagef("%s: %w", page, err)
			}
			steps, err := s.try(cmd.Context(), all)
			if err != nil {
				return ended(cmd.Context(), err, text.Count(len(steps), "step")+" were tried; nothing was written")
			}
			table := patch.Table(steps, s.differ)
			fmt.Fprint(c.out, "\n", table)
			if write {
				return mutant.WriteTable(page, cmd.Name(), "\n"+table)
			}
			return s.asForetold(steps, foretold)
		},
	}
	cmd.Flags().StringVar(&list, "scenarios", "", "a file of the scenarios to try, a line each; all where it is not given")
	cmd.Flags().BoolVar(&write, "write", false, "write the table to fixtures/patches/README.md")
	cmd.Flags().BoolVar(&integration, "integration", false,
		"run etcd's own integration tests through proxies instead, on stock, on the series and on what it turns on")
	cmd.Flags().BoolVar(&resume, "resume", false,
		"with --integration: what passed on the same series is not run again")
	return c.keeps(cmd, "the folder for the copy of etcd and what each patch came to")
}

// listed are the scenarios that a file names, nil where there is no file.
func listed(file string) (names []string, err error) {
	if file == "" {
		return nil, nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for i, line := range strings.Split(string(b), "\n") {
		name := strings.TrimSpace(line)
		if name == "" {
			continue
		}
		if _, err := scenarios.Named(name); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, i+1, err)
		}
		names = append(names, name)
	}
	if names == nil {
		return nil, fmt.Errorf("%s names no scenario", file)
	}
	return names, nil
}

// series is a run of patches, each on top of those before it, on one copy of etcd's server module.
type series struct {
	mutating
	scenarios []string // nil for all, and those of watches and leases
	differ    []string // cells in which two runs of one state differed
}

// try applies one after another, if they all apply, and sees what each moves.
func (s *series) try(ctx context.Context, all []patch.Patch) (steps []patch.Step, err error) {
	if err := s.copyModule(ctx); err != nil {
		return nil, err
	}
	if err := patch.Fit(ctx, s.module(), all); err != nil {
		return nil, foundf("the series does not apply to %s, and nothing was applied: %w", serverModule, err)
	}
	var before []mutant.Move
	for i, p := range all {
		began := time.Now()
		step := func(on bool, now []mutant.Move) {
			steps = append(steps, patch.Step{Patch: p, On: on, Moved: patch.Since(before, now)})
			took := time.Since(began).Round(time.Second)
			fmt.Fprintf(s.out, "%d of %d, %s  %s\n", i+1, len(all), took, steps[len(steps)-1])
		}
		_, err := s.empty(named(p.Name))
		if err != nil {
			return steps, err
		}
		if err := p.Apply(ctx, s.module()); err != nil {
			return steps, err
		}
		if err := s.unit(ctx, p.Name); err != nil {
			return steps, err
		}
		now, err := s.moved(ctx, p.Name)
		if err != nil {
			return steps, err
		}
		step(false, now)
		before = now
		if !p.HasSwitch() {
			continue
		}
		if _, err := s.empty(named(p.Name + "-on")); err != nil {
			return steps, err
		}
		if err := p.Turn(ctx, s.module()); err != nil {
			return steps, err
		}
		now, err = s.moved(ctx, p.Name+"-on")
		if err = errors.Join(err, p.Turn(context.WithoutCancel(ctx), s.module(), "-R")); err != nil {
			return steps, err
		}
		step(true, now)
	}
	return steps, nil
}

// asForetold is an error where a step moved other cells than its table says.
func (s *series) asForetold(steps []patch.Step, foretold patch.Foretold) error {
	var differs []string
	for _, step := range steps {
		if d := step.Differs(foretold, s.scenarios, s.differ); d != "" {
			differs = append(differs, d)
		}
	}
	if differs == nil {
		return nil
	}
	return foundf("what moved is not what fixtures/patches/README.md foretells:\n  %s", strings.Join(differs, "\n  "))
}

// named is an outcome with nothing in it, of which the machinery of mutants wants the name.
func named(name string) *mutant.Outcome { return &mutant.Outcome{Mutant: mutant.Mutant{Name: name}} }

// unit builds what imports the package, and runs the package's own tests.
func (s *series) unit(ctx context.Context, name string) error {
	if _, err := s.goCommand(ctx, "build", "-modfile", s.modfile(), "-o", os.DevNull, serverModule); err != nil {
		return foundf("%s: etcd does not build: %w", name, err)
	}
	log, pkg := filepath.Join(s.dir, name, "unit.log"), serverModule+"/proxy/grpcproxy"
	err := s.logged(ctx, log, []string{"go", "test", "-modfile", s.modfile(), "-count=1",
		pkg, pkg + "/cache", pkg + "/adapter"})
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return foundf("%s: its package's own tests fail, see %s", name, log)
	}
	return err
}

// moved is all that differs from stock on the copy as it is.
func (s *series) moved(ctx context.Context, name string) ([]mutant.Move, error) {
	binary, err := s.build(ctx)
	if err != nil {
		return nil, err
	}
	o := named(name)
	each := [][]string{{}}
	if s.scenarios != nil {
		each = nil
		for _, scenario := range s.scenarios {
			each = append(each, []string{"--scenario", scenario})
		}
	}
	for _, which := range each {
		out := filepath.Join(append([]string{s.dir, name, "none"}, which...)...)
		moved, err := s.matrix(ctx, binary, out, append(which, "--fix", "none")...)
		if err != nil {
			return nil, err
		}
		o.Moved = append(o.Moved, moved...)
	}
	if err := s.again(ctx, binary, o); err != nil {
		return nil, err
	}
	if s.scenarios != nil {
		return o.Moved, nil
	}
	// Some of these rest on how fast the machine is: what two runs agree on has moved.
	var runs [2][]mutant.Move
	for i := range runs {
		var err error
		if runs[i], err = s.beyondMoved(ctx, binary, filepath.Join(s.dir, name, fmt.Sprint("beyond-", i+1))); err != nil {
			return nil, err
		}
	}
	agreed, differ := patch.Both(runs[0], runs[1])
	for _, cell := range differ {
		fmt.Fprintf(s.out, "%s: two runs differ in %s, which is not counted\n", name, cell)
		if !slices.Contains(s.differ, cell) {
			s.differ = append(s.differ, cell)
		}
	}
	return append(o.Moved, agreed...), nil
}

// beyondMoved tries what is about watches and leases, and returns what moved, by scenario.
func (s *series) beyondMoved(ctx context.Context, binary, out string) (moved []mutant.Move, err error) {
	if err := s.tables(ctx, binary, "beyond", out, "--fix", "none"); err != nil {
		return nil, err
	}
	b, err := os.ReadFile(filepath.Join(out, beyondMoved))
	if err == nil {
		err = json.Unmarshal(b, &moved)
	}
	slices.SortFunc(moved, func(a, b mutant.Move) int { return strings.Compare(a.Cell(), b.Cell()) })
	return moved, err
}
