package scenarios

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"ghostroute/harness/explore/check"
	"ghostroute/harness/explore/hunt"
	"ghostroute/harness/explore/lab"
	"ghostroute/harness/explore/plan"
	"ghostroute/harness/text"
)

// Search is what the explorer is asked for.
type Search struct {
	Fix    Fix
	On     On // what plans are run on
	Checks []check.Check
	Time   time.Duration // how long plans are drawn
	Plans  int64         // how many are drawn, however long that takes; 0 is for as long as Time says
	Seed   uint64        // of the first plan
	Steps  int           // of a plan, at most
}

// Explored is what a search came to.
type Explored struct {
	Fix      string   `json:"fix"`
	Seed     uint64   `json:"seed"`
	Plans    int64    `json:"plans"`
	Steps    int64    `json:"steps"`
	Findings []Broken `json:"findings"`
	Met      []Met    `json:"met,omitempty"` // of Regress
}

// Broken is a promise that a plan breaks.
type Broken struct {
	Check    string `json:"check"`
	Claimed  bool   `json:"claimed"` // the fix is said to keep it
	Why      string `json:"why"`
	Cause    string `json:"cause,omitempty"` // the rule of etcd's proxy that lets it happen, where the model knows
	Plan     string `json:"plan"`
	Evidence string `json:"evidence,omitempty"` // the folder
}

// Explore draws plans until one breaks one of the checks, which it then makes small, or the time is over.
func Explore(ctx context.Context, out Output, s Search) (Explored, error) {
	command := s.command()
	fmt.Fprintf(out, "%s --time %v --seed %d\n", strings.TrimSpace(command), s.Time, s.Seed)
	e := Explored{Fix: s.Fix.Name, Seed: s.Seed, Findings: []Broken{}}
	var tally hunt.Tally
	cfg := s.hunt(out)
	cfg.Enough = func(f hunt.Finding) bool {
		e.Findings = append(e.Findings, s.broken(f))
		return true
	}
	err := hunt.Run(ctx, cfg, &tally)
	e.Plans, e.Steps = tally.Plans.Load(), tally.Steps.Load()
	fmt.Fprintf(out, "%s, %s, %s\n",
		text.Count(int(e.Plans), "plan"), text.Count(int(e.Steps), "step"), text.Count(len(e.Findings), "finding"))
	return e, err
}

// broken is a finding of the search.
func (s Search) broken(f hunt.Finding) Broken {
	return Broken{Check: f.Check, Claimed: slices.Contains(s.Fix.Promises, f.Check), Why: f.Why.Error(),
		Cause: string(f.Cause), Plan: f.Plan.Line(), Evidence: f.Folder}
}

// Replay runs one plan and judges it.
func Replay(ctx context.Context, out Output, s Search, p plan.Plan) (Explored, error) {
	e := Explored{Fix: s.Fix.Name, Findings: []Broken{}}
	cfg := s.hunt(out)
	if why := cfg.Lab.Topology.Variant.NeedsUser; p.Auth && why != "" {
		return e, fmt.Errorf("this plan cannot be run under the fix %s: %s", s.Fix.Name, why)
	}
	fmt.Fprintln(out, p)
	result, folder, err := hunt.Replay(ctx, cfg, p)
	if err != nil {
		return e, err
	}
	e.Plans, e.Steps = 1, int64(result.Steps)
	for _, r := range result.Results {
		if r.Outcome == check.Broken {
			e.Findings = append(e.Findings, Broken{Check: r.Check, Claimed: slices.Contains(s.Fix.Promises, r.Check),
				Why: r.Error().Error(), Plan: p.Line(), Evidence: folder})
		}
	}
	fmt.Fprintf(out, "%sevidence: %s\n", hunt.Verdict(result.Results), folder)
	return e, nil
}

// hunt is the search as a hunt.
func (s Search) hunt(out Output) hunt.Config {
	on := s.Fix.lab()
	on.Topology = s.On.topology(on.Topology)
	c := hunt.Config{Lab: on, Plans: plan.Config{Steps: s.Steps}, Checks: s.Checks, Seed: s.Seed, Time: s.Time,
		Most: s.Plans, Dir: out.Dir, Command: s.command(), Out: out}
	identity := func(c check.Check) bool { return c.Name == "identity" || c.Watches }
	if s.Plans > 0 {
		c.Time = 0
	}
	c.Mixed = (len(s.Checks) == 0 || slices.ContainsFunc(s.Checks, identity)) && c.Lab.Topology.Variant.NeedsUser == ""
	return c
}

// command is what replays a plan of the search, when the plan is put behind it.
func (s Search) command() string {
	command := Program + " explore --fix " + s.Fix.Name + s.On.flags()
	if len(s.Checks) > 0 {
		command += " --checks " + strings.Join(text.Each(s.Checks, func(c check.Check) string { return c.Name }), ",")
	}
	return command + " "
}

// lab is what plans are run on to try a fix: what the fix does to the topology, and of what an operator does for it
// that which a plan can meet.
func (f Fix) lab() lab.Config {
	c := lab.Config{}
	if f.Apply != nil {
		f.Apply(&c.Topology)
	}
	if f.Lab != nil {
		f.Lab(&c)
	}
	return c
}
