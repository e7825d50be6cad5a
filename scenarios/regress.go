package scenarios

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"ghostroute/harness/explore/check"
	"ghostroute/harness/explore/hunt"
	"ghostroute/harness/explore/lab"
	"ghostroute/harness/explore/model"
)

// Met is how often a promise was broken by a cause, and whether that was expected.
type Met struct {
	Check    string `json:"check"`
	Cause    string `json:"cause,omitempty"` // "" under a fix of which the model knows nothing
	Found    int    `json:"found"`           // plans, those that are kept too
	Expected bool   `json:"expected"`
	Moved    string `json:"moved,omitempty"` // "new", "gone" or nothing
}

// Regress says what the fix breaks that it is not expected to, and what it no longer breaks: it runs the plans that are
// kept of it, each of which must break its promise by its cause, and draws s.Plans more from s.Seed, each of which may
// break what is expected only. It goes on past what is expected; a disagreement of model and machine ends it.
func Regress(ctx context.Context, out Output, s Search) (Explored, error) {
	e := Explored{Fix: s.Fix.Name, Seed: s.Seed, Findings: []Broken{}}
	x, err := s.expectation()
	if err != nil {
		return e, err
	}
	fmt.Fprintf(out, "%d kept plans and %d from seed %d\n", len(x.kept), s.Plans, s.Seed)
	if err := x.replay(ctx, out, s, &e); err != nil {
		return e, err
	}
	cfg := s.hunt(out)
	cfg.Known, cfg.Once, cfg.Enough = x.meets, true, func(f hunt.Finding) bool {
		x.row(f.Check, string(f.Cause)).Moved = "new"
		e.Findings = append(e.Findings, s.broken(f))
		return false
	}
	var tally hunt.Tally
	err = hunt.Run(ctx, cfg, &tally)
	e.Plans, e.Steps = e.Plans+tally.Plans.Load(), e.Steps+tally.Steps.Load()
	e.Met = x.met
	fmt.Fprint(out, table(x.met))
	return e, err
}

// expectation is what a fix is expected to break.
type expectation struct {
	fix   Fix
	stock bool
	kept  map[string]kept // by name, of this fix
	met   []Met
}

// expectation reads what is kept of the fix. The stock proxy is expected to break its promises by every cause that is
// known; another fix is expected to break what it does not promise, and what it is refuted in there.
func (s Search) expectation() (*expectation, error) {
	x := &expectation{fix: s.Fix, stock: s.Fix.lab().Stock(), kept: map[string]kept{}}
	pattern, err := Fixture(filepath.Join("found", "*.txt"))
	if err != nil {
		return nil, err
	}
	files, err := filepath.Glob(pattern)
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		k, err := readKept(file)
		if err != nil {
			return nil, err
		}
		if k.Fix == s.Fix.Name {
			x.kept[strings.TrimSuffix(filepath.Base(file), ".txt")] = k
		}
	}
	return x, nil
}

// expects says whether the fix is expected to break a promise by a cause.
func (x *expectation) expects(promise string, cause model.Cause) bool {
	if x.stock {
		return cause != model.Unexplained
	}
	if !slices.Contains(x.fix.Promises, promise) {
		return true
	}
	for _, k := range x.kept {
		if k.Check == promise {
			return true
		}
	}
	return false
}

// meets counts a finding, and says whether it was expected.
func (x *expectation) meets(f hunt.Finding) bool {
	expected := x.expects(f.Check, f.Cause)
	m := x.row(f.Check, string(f.Cause))
	m.Found, m.Expected = m.Found+1, expected
	return expected
}

func (x *expectation) row(promise, cause string) *Met {
	i := slices.IndexFunc(x.met, func(m Met) bool { return m.Check == promise && m.Cause == cause })
	if i < 0 {
		i, x.met = len(x.met), append(x.met, Met{Check: promise, Cause: cause})
	}
	return &x.met[i]
}

// replay runs the kept plans. What is kept and no longer breaks its promise is gone.
func (x *expectation) replay(ctx context.Context, out Output, s Search, e *Explored) (err error) {
	l, err := lab.New(s.Fix.lab())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	for _, name := range slices.Sorted(maps.Keys(x.kept)) {
		k := x.kept[name]
		m := x.row(k.Check, k.Cause)
		m.Expected = true
		result, gone, err := k.run(ctx, l)
		e.Plans, e.Steps = e.Plans+1, e.Steps+int64(result.Steps)
		if err != nil {
			return fmt.Errorf("%s: %w\n%sreplay: %s'%s'", name, hunt.SaveDisagreement(out.Dir, result, err), k.Plan,
				s.command(), k.Plan.Line())
		}
		if gone == "" {
			m.Found++
			continue
		}
		m.Moved = "gone"
		b := Broken{Check: k.Check, Why: "gone: " + gone, Cause: k.Cause, Plan: k.Plan.Line()}
		if out.Dir != "" {
			if b.Evidence, err = hunt.Save(filepath.Join(out.Dir, "gone-"+name), result, b.Why); err != nil {
				return err
			}
		}
		fmt.Fprintf(out, "%s: %s\nevidence: %s\nreplay: %s'%s'\n", name, b.Why, b.Evidence, s.command(), b.Plan)
		e.Findings = append(e.Findings, b)
	}
	return nil
}

// run replays a kept plan. gone is why it is not as it was, "" where it breaks its promise by its cause still.
func (k kept) run(ctx context.Context, l *lab.Lab) (out lab.Outcome, gone string, err error) {
	fix, err := FixNamed(k.Fix)
	if err != nil {
		return out, "", err
	}
	checks, err := fix.Checks(k.Check)
	if err != nil {
		return out, "", err
	}
	if out, err = l.Try(ctx, k.Plan, checks); err != nil {
		return out, "", err
	}
	by := func(f model.Finding) bool { return string(f.Cause) == k.Cause }
	// What a proxy's own watches are told, which tells why a client's is not, is seen from inside of it only.
	seen := !l.Processes() || !slices.Contains(model.WatchCauses(), model.Cause(k.Cause))
	switch r := out.Results[0]; {
	case r.Outcome != check.Broken:
		gone = fmt.Sprintf("%s is %s, where it was broken by %q: %s", k.Check, r.Outcome, k.Cause, r.Why)
	case seen && out.Causes != nil && k.Cause != "" && !slices.ContainsFunc(out.Causes, by):
		gone = fmt.Sprintf("%s is broken by %q, where it was by %q", k.Check, out.Causes[0].Cause, k.Cause)
	}
	return out, gone, nil
}

// table is what was met, a line each.
func table(met []Met) string {
	if len(met) == 0 {
		return "\nno promise was broken\n"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n%-12s  %-70s  %5s  %s\n", "promise", "broken by", "plans", "expected")
	for _, m := range met {
		expected := map[bool]string{true: "yes", false: "no"}[m.Expected]
		line := fmt.Sprintf("%-12s  %-70s  %5d  %-8s  %s", m.Check, m.Cause, m.Found, expected, m.Moved)
		fmt.Fprintln(&b, strings.TrimRight(line, " "))
	}
	return b.String()
}
