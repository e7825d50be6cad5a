// Package patch reads the patches that are meant for etcd, a series in which each is applied on top of those before it.
package patch

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"ghostroute/harness/mutant"
)

// subject is how the first line of a patch begins, as etcd's do.
const subject = "server/proxy/grpcproxy: "

// Patch is one of the series.
type Patch struct {
	Name    string // "0002-cache-switch", its file's
	Subject string // the first line without the package: what the patch does
	diff    string // a unified diff against etcd's repository
	on      string // one that turns on what the patch adds, where that is off; "" if there is nothing to turn on
}

// Parse reads a patch's file: a message, of which the first line says what it does, and a diff of files under server.
func Parse(name, file string) (Patch, error) {
	message, diff, ok := strings.Cut(file, "\ndiff --git ")
	if !ok {
		return Patch{}, fmt.Errorf("%s: it has no diff", name)
	}
	first, body, _ := strings.Cut(message, "\n")
	does, ok := strings.CutPrefix(first, subject)
	p := Patch{Name: name, Subject: does, diff: "diff --git " + diff}
	switch {
	case !ok || does == "":
		return p, fmt.Errorf("%s:1: %q does not begin with %q and say what the patch does", name, first, subject)
	case strings.TrimSpace(body) == "":
		return p, fmt.Errorf("%s: it does not say why", name)
	}
	for _, file := range p.change(p.diff).Files() {
		if !strings.HasPrefix(file, "server/") {
			return p, fmt.Errorf("%s: it changes %s, which is not in the server module", name, file)
		}
	}
	return p, nil
}

// ReadAll reads the series in a folder, numbered from 0001 on, each with what turns it on from the folder on in it.
func ReadAll(dir string) (all []Patch, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "[0-9][0-9][0-9][0-9]-*.patch"))
	if err != nil {
		return nil, err
	}
	for i, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		name := strings.TrimSuffix(filepath.Base(f), ".patch")
		if number := fmt.Sprintf("%04d-", i+1); !strings.HasPrefix(name, number) {
			return nil, fmt.Errorf("%s: the next of the series is %s", name, number)
		}
		p, err := Parse(name, string(b))
		if err != nil {
			return nil, err
		}
		on, err := os.ReadFile(filepath.Join(dir, "on", filepath.Base(f)))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		p.on = string(on)
		all = append(all, p)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s has no patch 0001-*.patch", dir)
	}
	return all, nil
}

// Digest names a series by all that is in it.
func Digest(all []Patch) string {
	sum := sha256.New()
	for _, p := range all {
		fmt.Fprintln(sum, p.diff, p.on)
	}
	return fmt.Sprintf("%x", sum.Sum(nil))[:8]
}

// change is a diff as that which can be applied, and is in all its hunks or in none.
func (p Patch) change(diff string) mutant.Mutant { return mutant.Mutant{Name: p.Name, Diff: diff} }

// Apply changes a copy of the server module. A patch that does not apply changes nothing, and the error says where.
func (p Patch) Apply(ctx context.Context, module string, flags ...string) error {
	return p.change(p.diff).Apply(ctx, module, flags...)
}

// Diff is what it changes, a unified diff against etcd's repository.
func (p Patch) Diff() string { return p.diff }

// HasSwitch says whether what the patch adds is off until it is turned on.
func (p Patch) HasSwitch() bool { return p.on != "" }

// LeavesOut are tests of etcd's that what is turned on cannot pass, and why: the line "leaves out: TestA TestB, for …"
// before the diff of what turns it on.
func (p Patch) LeavesOut() (tests []string, why string) {
	head, _, _ := strings.Cut(p.on, "\n--- ")
	line, ok := strings.CutPrefix(head, "leaves out: ")
	if !ok {
		return nil, ""
	}
	names, why, _ := strings.Cut(line, ", ")
	return strings.Fields(names), strings.TrimSpace(why)
}

// Turn turns it on in a copy of the server module to which it is applied, or with "-R" off again.
func (p Patch) Turn(ctx context.Context, module string, flags ...string) error {
	if err := p.change(p.on).Apply(ctx, module, flags...); err != nil {
		return fmt.Errorf("what turns it on: %w", err)
	}
	return nil
}

// Fit says whether the series applies to a copy of the server module, with what turns each on, and leaves the copy as
// it was: one that does not apply leaves none of those before it.
func Fit(ctx context.Context, module string, all []Patch) (err error) {
	undo := context.WithoutCancel(ctx)
	for _, p := range all {
		if err := p.Apply(ctx, module); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, p.Apply(undo, module, "-R")) }()
		if !p.HasSwitch() {
			continue
		}
		if err := p.Turn(ctx, module); err != nil {
			return err
		}
		if err := p.Turn(undo, module, "-R"); err != nil {
			return err
		}
	}
	return nil
}
