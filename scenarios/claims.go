package scenarios

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"ghostroute/harness/explore/hunt"
	"ghostroute/harness/explore/lab"
	"ghostroute/harness/explore/plan"
	"ghostroute/harness/text"
)

// everything is what a fix promises under which nothing is ever stale: each of the explorer's checks.
func everything() []string {
	return []string{"linearizable", "own-writes", "monotonic", "bounded", "agreement", "digest", "convergence",
		"identity"}
}

const claimsHead = `# What the fixes' claims came to

Written by ` + "`make claims`" +
	`. Each promise that a fix claims (scenarios/fix.go) is tried by random plans on real members and
proxies. Not refuted is not proven: the number of schedules says how hard it was tried. Of revalidate, consistent and
coherent what proxies answer is judged, not what members answer that are asked past them.

| fix | promise | came to | why |
|---|---|---|---|
`

// Claims tries to refute each promise of each of these fixes, for s.Time a promise. What came of them is written to
// fixtures/found/claims.md, where the rows of other fixes stay as they are; a plan that refutes a claim each time is
// kept beside it.
func Claims(ctx context.Context, out Output, s Search, fixes []Fix) error {
	came := map[string]string{} // rows, by the fix
	for _, f := range fixes {
		if len(f.Promises) == 0 {
			came[f.Name] = fmt.Sprintf("| %s | none | | |\n", f.Name)
			continue
		}
		fmt.Fprintf(out, "%s: %s\n", f.Name, strings.Join(f.Promises, ", "))
		s.Fix = f
		rows, err := s.refute(ctx, out)
		if err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		came[f.Name] = rows
	}
	file, err := Fixture("found/claims.md")
	if err != nil {
		return err
	}
	was, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	table := claimsTable(string(was), came)
	if err := os.WriteFile(file, []byte(table), 0o644); err != nil {
		return err
	}
	_, err = fmt.Fprint(out, table)
	return err
}

// claimsTable is claims.md: the rows that came of some fixes, and of the others those that it had.
func claimsTable(was string, came map[string]string) string {
	had := map[string]string{}
	for line := range strings.Lines(was) {
		if fix, _, ok := strings.Cut(strings.TrimPrefix(line, "| "), " | "); ok {
			had[fix] += line
		}
	}
	table := claimsHead
	for _, f := range Fixes() {
		table += cmp.Or(came[f.Name], had[f.Name])
	}
	return table
}

// refute tries a fix's promises together, and gives their rows in their order.
func (s Search) refute(ctx context.Context, out Output) (rows string, err error) {
	began, most := time.Now(), s.Time*time.Duration(len(s.Fix.Promises))
	found := map[string]hunt.Finding{}
	var tally hunt.Tally
	open := s.Fix.Promises
	for len(open) > 0 && ctx.Err() == nil && time.Since(began) < most {
		if s.Checks, err = s.Fix.Checks(strings.Join(open, ",")); err != nil {
			return "", err
		}
		cfg := s.hunt(Output{})
		cfg.Out, cfg.Time, cfg.Small = nil, most-time.Since(began), 80
		cfg.Enough = func(g hunt.Finding) bool {
			if _, known := found[g.Check]; !known {
				found[g.Check] = g
			}
			return true
		}
		if err := hunt.Run(ctx, cfg, &tally); err != nil {
			return "", err
		}
		s.Seed = tally.Next.Load()
		open = slices.DeleteFunc(slices.Clone(open), func(c string) bool { _, ok := found[c]; return ok })
	}
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	for _, c := range s.Fix.Promises {
		came, why, said := fmt.Sprintf("not refuted in %d schedules", tally.Plans.Load()), "", ""
		if g, ok := found[c]; ok {
			broken, err := again(ctx, s.Fix, g)
			if err != nil {
				return "", fmt.Errorf("%w\n%s", err, g.Plan)
			}
			said = fmt.Sprintf(", %d times of %d: %s", broken, tries, g.Plan.Line())
			if broken == 0 { // a machine that was busy, more likely than not
				came += ": broken in one, and kept when that was run again"
			} else {
				_, why, _ = strings.Cut(strings.TrimPrefix(g.Why.Error(), "broken promise: "), ":")
				came = fmt.Sprintf("**refuted** by `%s`", strings.Join(text.Each(g.Plan.Steps, plan.Step.String), " / "))
			}
			if broken == tries {
				k := kept{Check: c, Fix: s.Fix.Name, Plan: g.Plan}
				if err := k.write("claim-" + s.Fix.Name + "-" + c); err != nil {
					return "", err
				}
			}
		}
		fmt.Fprintf(out, "%s: %s %s%s\n", s.Fix.Name, c, came, said)
		rows += fmt.Sprintf("| %s | %s | %s |%s |\n", s.Fix.Name, c, came, why)
	}
	return rows, nil
}

// tries is how often a finding's plan is run again. One that breaks its promise each time is kept for the suite to
// replay.
const tries = 5

// again says how often of tries a finding's plan breaks its promise.
func again(ctx context.Context, f Fix, g hunt.Finding) (broken int, err error) {
	l, err := lab.New(f.lab())
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	checks, err := f.Checks(g.Check)
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
