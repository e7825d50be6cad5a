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

	"ghostroute/harness/mutant"
	"ghostroute/harness/report"
	"ghostroute/harness/verdict"
)

// serverModule is the module of etcd that mutants change.
const serverModule = "go.etcd.io/etcd/server/v3"

// mutating is a run of mutants on one copy of etcd's server module.
type mutating struct {
	*command
	dir    string // where results are kept, a folder a mutant
	top    string // the repository
	resume bool
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

// empty makes a mutant's folder, with nothing in it.
func (m *mutating) empty(o *mutant.Outcome) (dir string, err error) {
	dir = filepath.Join(m.dir, o.Name)
	return dir, errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755))
}

// build builds ghostroute on the copy as it is.
func (m *mutating) build(ctx context.Context) (binary string, err error) {
	binary = filepath.Join(m.dir, ".etcd", "ghostroute")
	_, err = m.goCommand(ctx, "build", "-modfile", m.modfile(), "-ldflags=-s -w", "-o", binary,
		"./harness/cmd/ghostroute")
	return binary, err
}

// try applies one mutant, builds, and sees what notices.
func (m *mutating) try(ctx context.Context, o *mutant.Outcome) error {
	dir, err := m.empty(o)
	if err != nil {
		return err
	}
	if err := o.Apply(ctx, m.module()); err != nil {
		return err
	}
	if err := errors.Join(m.notice(ctx, dir, o), o.Apply(context.WithoutCancel(ctx), m.module(), "-R")); err != nil {
		return err
	}
	return o.Write(filepath.Join(dir, "result.json"))
}

// notice has every column look at a mutant that is applied.
func (m *mutating) notice(ctx context.Context, dir string, o *mutant.Outcome) error {
	began := time.Now()
	binary, err := m.build(ctx)
	if err != nil {
		return err
	}
	o.Built = time.Since(began)
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
	test := func(pkg, run string) []string {
		return []string{"go", "test", "-modfile", m.modfile(), "-vet=off", "-ldflags=-s -w", "-short", "-run", run, pkg}
	}
	for _, column := range []struct {
		mutant.Column
		command []string
	}{
		{mutant.Unit, test("./harness/proxy", "^TestPatchedKVIsStock$")},
		{mutant.Model, test("./harness/explore/model", "^TestTheModelAgrees")},
		{mutant.Explorer, []string{binary, "soak", "--seed", "1", "--plans", "20", "--out", filepath.Join(dir, "soak")}},
	} {
		log := filepath.Join(dir, string(column.Column)+".log")
		noticed, err := m.fails(ctx, log, column.command)
		if noticed && !slices.Contains(o.KilledBy, column.Column) { // a busy machine can make model and machine differ
			fmt.Fprintf(m.out, "%s: noticed by the %s, and is tried again\n", o.Name, column.Column)
			noticed, err = m.fails(ctx, log, column.command)
		}
		if err != nil {
			return err
		}
		if noticed {
			o.Noticed = append(o.Noticed, column.Column)
		}
	}
	return nil
}

// fails runs a test or the explorer in the repository, and says whether it found something.
func (m *mutating) fails(ctx context.Context, file string, command []string) (bool, error) {
	err := m.logged(ctx, file, command)
	exit := (*exec.ExitError)(nil)
	if err == nil || ctx.Err() != nil || !errors.As(err, &exit) {
		return false, err
	}
	log, err2 := os.ReadFile(file)
	// go test ends with 1 where nothing could be built, too.
	if command[0] == "go" && !strings.Contains(string(log), "--- FAIL: ") || exit.ExitCode() != codeFound {
		return false, errors.Join(fmt.Errorf("it did not run, see %s: %w", file, err), err2)
	}
	return true, err2
}

// logged runs a command in the repository, and keeps what it says. The end of ctx interrupts it: it ends what it began.
func (m *mutating) logged(ctx context.Context, file string, command []string) error {
	log, err := os.Create(file)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = m.top, log, log
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = time.Minute
	return errors.Join(cmd.Run(), log.Close())
}

// ours changes our own code by an overlay, which leaves the repository as it is, and runs the test that must fail. It
// must pass where nothing is changed.
func (m *mutating) ours(ctx context.Context, o *mutant.Outcome) error {
	dir, err := m.empty(o)
	if err != nil {
		return err
	}
	patched := filepath.Join(dir, "patched")
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for _, file := range o.Files() {
		b, err := os.ReadFile(filepath.Join(m.top, file))
		if err != nil {
			return err
		}
		is := filepath.Join(patched, file)
		if err := errors.Join(os.MkdirAll(filepath.Dir(is), 0o755), os.WriteFile(is, b, 0o644)); err != nil {
			return err
		}
		overlay.Replace[filepath.Join(m.top, file)] = is
	}
	b, err := json.Marshal(overlay)
	if err != nil {
		return err
	}
	replaced := filepath.Join(dir, "overlay.json")
	if err := errors.Join(os.WriteFile(replaced, b, 0o644), o.Apply(ctx, patched)); err != nil {
		return err
	}
	pkg, run, _ := strings.Cut(o.Test, " ")
	test := []string{"go", "test", "-vet=off", "-run", "^" + run + "$", "-overlay"}
	if failed, err := m.fails(ctx, filepath.Join(dir, "unchanged.log"), append(test, "", pkg)); err != nil || failed {
		return errors.Join(err, fmt.Errorf("%s must pass where nothing is changed", o.Test))
	}
	failed, err := m.fails(ctx, filepath.Join(dir, "changed.log"), append(test, replaced, pkg))
	if err != nil {
		return err
	}
	if failed {
		o.Noticed = []mutant.Column{mutant.Unit}
	}
	return o.Write(filepath.Join(dir, "result.json"))
}

// matrix runs the matrix of a mutated ghostroute, and returns what moved.
func (m *mutating) matrix(ctx context.Context, binary, out string, args ...string) ([]mutant.Move, error) {
	if err := m.tables(ctx, binary, "matrix", out, args...); err != nil {
		return nil, err
	}
	return moves(filepath.Join(out, "matrix.json"))
}

// tables has a mutated ghostroute try a table, which writes what moved into a folder. That some did is no error.
func (m *mutating) tables(ctx context.Context, binary, verb, out string, args ...string) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	log := filepath.Join(out, "log")
	err := m.logged(ctx, log, append([]string{binary, verb, "--out", out}, args...))
	if exit := (*exec.ExitError)(nil); err == nil || errors.As(err, &exit) && exit.ExitCode() == codeFound {
		return nil
	}
	return fmt.Errorf("%s did not run, see %s: %w", verb, log, err)
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
