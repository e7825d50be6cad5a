package scenarios

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/explore/hunt"
	"ghostroute/harness/explore/lab"
	"ghostroute/harness/explore/plan"
)

// TestClaims is `make claims`: it tries to refute each promise that each fix claims, for TIME each (FIX for one fix only), and writes
// what came of it to fixtures/found/claims.md. A plan that refutes a claim is kept beside it.
func TestClaims(t *testing.T) {
	if asked() != "claims" {
		t.Skip("make claims runs it")
	}
	o := optionsFrom(t, "all", 5*time.Second)
	_, all := lasting(t, time.Hour)
	var b strings.Builder
	b.WriteString("# What the fixes' claims came to\n\n" +
		"Written by `make claims`. Each promise that a fix claims (scenarios/claims.go) is tried by random plans on real benches. Not refuted is not\n" +
		"proven: the number of schedules says how hard it was tried.\n\n" +
		"| fix | promise | came to | why |\n|---|---|---|---|\n")
	for _, f := range Fixes() {
		claims := Claims()[f.Name]
		if os.Getenv("FIX") != "" && f.Name != o.Fix.Name {
			continue
		}
		if len(claims) == 0 {
			fmt.Fprintf(&b, "| %s | none | | |\n", f.Name)
			continue
		}
		b.WriteString(strings.Join(refute(t, all, f, claims, o), ""))
	}
	require.NoError(t, all.Err())
	if os.Getenv("FIX") == "" {
		require.NoError(t, os.WriteFile(filepath.Join(foundDir, "claims.md"), []byte(b.String()), 0o644))
	}
	fmt.Print(b.String())
}

// refute tries a fix's claims together, and gives their rows in their order.
func refute(t *testing.T, all context.Context, f Fix, claims []string, o options) []string {
	began, most := time.Now(), o.Time*time.Duration(len(claims))
	found := map[string]hunt.Finding{}
	var tally hunt.Tally
	cfg := f.Bench()
	cfg.Dir = t.TempDir()
	open := claims
	for seed := o.Seed; len(open) > 0 && all.Err() == nil && time.Since(began) < most; seed = tally.Next.Load() {
		checks, err := hunt.Checks(strings.Join(open, ","))
		require.NoError(t, err)
		err = hunt.Run(all, hunt.Config{Lab: cfg, Time: most - time.Since(began), Mixed: slices.Contains(open, "identity"), Plans: plan.Config{Steps: o.Steps},
			Checks: checks, Seed: seed, Small: 80, Command: "make explore FIX=" + f.Name + " PLAN=", Enough: func(g hunt.Finding) bool {
				if _, known := found[g.Check]; !known {
					found[g.Check] = g
				}
				return true
			}}, &tally)
		require.NoError(t, err, "%s", f.Name)
		open = slices.DeleteFunc(slices.Clone(open), func(c string) bool { _, ok := found[c]; return ok })
	}
	var rows []string
	for _, c := range claims {
		g, ok := found[c]
		if !ok {
			rows = append(rows, fmt.Sprintf("| %s | %s | not refuted in %d schedules | |\n", f.Name, c, tally.Plans.Load()))
			fmt.Printf("%s: %s not refuted in %d schedules\n", f.Name, c, tally.Plans.Load())
			continue
		}
		var steps []string
		for _, s := range g.Plan.Steps {
			steps = append(steps, s.String())
		}
		_, why, _ := strings.Cut(strings.TrimPrefix(g.Why.Error(), "broken promise: "), ": ")
		broken, err := again(all, cfg, g)
		require.NoError(t, err, "%s", g.Plan)
		if broken == 0 { // a machine that was busy, more likely than not
			fmt.Printf("%s: %s broken once, and kept %d times by the same plan: %s\n", f.Name, c, tries, g.Plan.Line())
			rows = append(rows, fmt.Sprintf("| %s | %s | not refuted in %d schedules: broken in one, and kept when that was run again | |\n", f.Name, c, tally.Plans.Load()))
			continue
		}
		rows = append(rows, fmt.Sprintf("| %s | %s | **refuted** by `%s` | %s |\n", f.Name, c, strings.Join(steps, " / "), why))
		fmt.Printf("%s: %s refuted, %d times of %d: %s\n", f.Name, c, broken, tries, g.Plan.Line())
		if broken == tries {
			kept{Check: c, Fix: f.Name, Plan: g.Plan}.write(t, "claim-"+f.Name+"-"+c)
		}
	}
	return rows
}

// tries is how often a finding's plan is run again. One that breaks its promise each time is kept for the suite to replay.
const tries = 5

// again says how often of tries a finding's plan breaks its promise.
func again(ctx context.Context, cfg lab.Config, g hunt.Finding) (broken int, err error) {
	l, err := lab.New(cfg)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	checks, err := hunt.Checks(g.Check)
	if err != nil {
		return 0, err
	}
	for range tries {
		out, err := l.Try(ctx, g.Plan, checks)
		if err != nil {
			return broken, err
		}
		if out.Broken() != nil {
			broken++
		}
	}
	return broken, nil
}

// soaked is what a soak leaves behind for the next to go on from.
type soaked struct {
	Seed                   uint64
	Plans, Steps, Findings int64
}

// TestSoak is `make soak`: it runs plans for TIME, holds the model to the machine on each step and counts the causes met, says every few
// seconds how far it is, and goes on from where the last soak stopped. Ctrl-C ends it with its summary.
func TestSoak(t *testing.T) {
	if asked() != "soak" {
		t.Skip("make soak runs it")
	}
	o := optionsFrom(t, "convergence,identity", time.Hour)
	f := o.Fix
	dir := artifacts(t, "soak")
	file := filepath.Join(dir, "seed.json")
	s := soaked{Seed: o.Seed}
	if text, err := os.ReadFile(file); err == nil && os.Getenv("SEED") == "" {
		require.NoError(t, json.Unmarshal(text, &s), "%s is no soak's: remove it to begin anew", file)
		fmt.Printf("going on from seed %d, behind %d schedules\n", s.Seed, s.Plans)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		require.NoError(t, err)
	}
	ctx, all := lasting(t, o.Time)
	was := s
	var tally hunt.Tally
	began := time.Now()
	tell := func() {
		s = soaked{tally.Next.Load(), was.Plans + tally.Plans.Load(), was.Steps + tally.Steps.Load(), was.Findings + tally.Findings.Load()}
		text, err := json.Marshal(s)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(file, text, 0o644))
		gone := time.Since(began)
		fmt.Printf("%8v  %7d schedules %6.1f/s  %9d steps %7.0f/s  %5d findings  %3d again  %4d MB\n", gone.Round(time.Second), tally.Plans.Load(),
			float64(tally.Plans.Load())/gone.Seconds(), tally.Steps.Load(), float64(tally.Steps.Load())/gone.Seconds(), tally.Findings.Load(), tally.Again.Load(), resident()>>20)
	}
	cfg := f.Bench()
	cfg.Dir = t.TempDir()
	done := make(chan error, 1)
	go func() {
		done <- hunt.Run(ctx, hunt.Config{Lab: cfg, Mixed: true, Plans: plan.Config{Steps: o.Steps}, Checks: o.Checks, Seed: s.Seed, Dir: dir,
			Command: "make explore FIX=" + f.Name + " PLAN=", Once: true, Out: os.Stdout, Enough: func(hunt.Finding) bool { return false }}, &tally)
	}()
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			tell()
		case err := <-done:
			tell()
			if all.Err() != nil {
				fmt.Println("interrupted; the next soak goes on from here")
			}
			require.NoError(t, err)
			return
		}
	}
}

// resident is how much memory this process has, in bytes; 0 where the system does not say.
func resident() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	words := strings.Fields(string(text))
	if len(words) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(words[1], 10, 64) // the kernel's own format
	return pages * int64(os.Getpagesize())
}
