package main

import (
	"context"
	"crypto/sha256"
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
	whole := sha256.New()
	for _, p := range all {
		whole.Write([]byte(p.Diff()))
		if p.HasSwitch() {
			i.states++
		}
	}
	i.dir = filepath.Join(s.dir, "integration", fmt.Sprintf("%x", whole.Sum(nil))[:8])
	err := i.on(ctx, "stock", "")
	for _, p := range all {
		if err == nil {
			err = p.Apply(ctx, s.module())
		}
		if err != nil || !p.HasSwitch() {
			continue
		}
		if err = p.Turn(ctx, s.module()); err == nil {
			err = errors.Join(i.on(ctx, p.Name+"-on", s.module()), p.Turn(context.WithoutCancel(ctx), s.module(), "-R"))
		}
	}
	if err == nil {
		err = i.on(ctx, "series", s.module())
	}
	if err != nil {
		return ended(ctx, err, text.Count(i.done, "package")+" were tried; --resume goes on")
	}
	if i.failed != nil {
		return foundf("etcd's own integration tests fail: %s", strings.Join(i.failed, "; "))
	}
	return nil
}

// on runs them on a state of the server module, "" being etcd's own.
func (i *integration) on(ctx context.Context, state, module string) error {
	dir := filepath.Join(i.dir, state)
	if err := patch.TestModule(dir, module); err != nil {
		return err
	}
	for _, pkg := range patch.Tests() {
		log, began := filepath.Join(dir, path.Base(path.Dir(pkg))+"-"+path.Base(pkg)+".log"), time.Now()
		how := "passed before"
		if !i.resume || !passed(log, pkg) {
			err := i.logged(ctx, log, []string{"go", "-C", dir, "test", "-tags", "cluster_proxy", "-p", "1", "-count=1",
				"-timeout", "20m", pkg})
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
