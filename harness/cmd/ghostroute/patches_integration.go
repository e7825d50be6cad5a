package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"

	"ghostroute/harness/patch"
	"ghostroute/harness/text"
)

// integration is a run of etcd's own integration tests through proxies, on states of the series.
type integration struct {
	*series
	dir    string // where logs are kept, a folder a state: of this series, and of no other
	resume bool
	states int
	done   int
	failed []string
}

// integrate runs them on stock, on what each switch turns on, and on the whole series.
func (s *series) integrate(ctx context.Context, all []patch.Patch, resume bool) error {
	if err := s.copyModule(ctx); err != nil {
		return err
	}
	if err := patch.Fit(ctx, s.module(), all); err != nil {
		return foundf("the series does not apply to %s, and nothing was applied: %w", serverModule, err)
	}
	i := integration{series: s, resume: resume, states: 2}
	for _, p := range all {
		if p.HasSwitch() {
			i.states++
		}
	}
	i.dir = filepath.Join(s.dir, "integration", patch.Digest(all))
	err := i.on(ctx, "stock", "", nil)
	for _, p := range all {
		if err == nil {
			err = p.Apply(ctx, s.module())
		}
		if err != nil || !p.HasSwitch() {
			continue
		}
		if err = p.Turn(ctx, s.module()); err == nil {
			without, why := p.LeavesOut()
			if without != nil {
				fmt.Fprintf(i.out, "%s-on is tried without %s, %s\n", p.Name, text.And(without), why)
			}
			err = errors.Join(i.on(ctx, p.Name+"-on", s.module(), without),
				p.Turn(context.WithoutCancel(ctx), s.module(), "-R"))
		}
	}
	if err == nil {
		err = i.on(ctx, "series", s.module(), nil)
	}
	if err != nil {
		return ended(ctx, err, text.Count(i.done, "package")+" were tried; --resume goes on")
	}
	if i.failed != nil {
		return foundf("etcd's own integration tests fail: %s", strings.Join(i.failed, "; "))
	}
	return nil
}

// on runs them, but for some, on a state of the server module, "" being etcd's own.
func (i *integration) on(ctx context.Context, state, module string, without []string) error {
	dir := filepath.Join(i.dir, state)
	if err := patch.TestModule(dir, module); err != nil {
		return err
	}
	for _, pkg := range patch.Tests() {
		log, began := filepath.Join(dir, path.Base(path.Dir(pkg))+"-"+path.Base(pkg)+".log"), time.Now()
		how := "passed before"
		if !i.resume || !passed(log, pkg) {
			// A test that hangs is named by the end of its time.
			args := []string{"go", "-C", dir, "test", "-tags", "cluster_proxy", "-v", "-count=1", "-timeout", "10m"}
			if without != nil {
				args = append(args, "-skip", "^("+strings.Join(without, "|")+")$")
			}
			err := i.logged(ctx, log, append(args, pkg))
			if exit := (*exec.ExitError)(nil); ctx.Err() != nil || err != nil && !errors.As(err, &exit) {
				return errors.Join(ctx.Err(), err)
			}
			if how = "passed"; !passed(log, pkg) {
				how = "failed, see " + log
				i.failed = append(i.failed, state+", "+pkg+": see "+log)
			}
		}
		i.done++
		fmt.Fprintf(i.out, "%d of %d, %s, %s: %s  %s\n", i.done, i.states*len(patch.Tests()),
			time.Since(began).Round(time.Second), state, strings.TrimPrefix(pkg, "go.etcd.io/etcd/tests/v3/"), how)
	}
	return nil
}

// passed says whether a log says that a package's tests were run and passed.
func passed(log, pkg string) bool {
	b, err := os.ReadFile(log)
	return err == nil && strings.Contains("\n"+string(b), "\nok  \t"+pkg+"\t")
}
