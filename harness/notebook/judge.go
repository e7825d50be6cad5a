package notebook

import (
	"cmp"
	"fmt"
	"strings"

	"ghostroute/harness/history"
	"ghostroute/harness/trial"
	"ghostroute/harness/verdict"
)

func judgeCommands() []Command {
	return []Command{{
		Name: "arrange", Example: "arrange",
		Does: "Begins a trial: every gateway asks once and its answer must be the truth. What is changed from here " +
			"on, and what the gateways are told after it, is what report judges.",
		run: (*call).arrange,
	}, {
		Name: "report", Example: "report",
		Does: "Ends a trial that arrange began, and says what it came to: fresh (no answer was wrong), heals (some " +
			"were, and then none), stale (some still are, and nothing will change that), or unknown. It is judged " +
			"as the matrix is.",
		Args: []Arg{{"[scenario=…]", aScenario(), "which of the matrix this is: the tests see that both come to the same"}},
		run:  (*call).report,
	}, {
		Name: "try", Example: "try fix=(none, no-proxy)\narrange\nderegister v1-a\nresolve", script: true,
		Does: "Puts fixes on trial, each on a bench of its own, and prints what each trial came to. With scenario it " +
			"is the matrix's own trial, under the worst schedule there is for the fix. Without, the commands under " +
			"it are the trial: they begin with arrange, or with bench and then arrange, and report is said for " +
			"them.",
		Args: []Arg{
			{"fix=(…)", aFix(), "() is every one"},
			{"[scenario=…]", aScenario(), ""},
			{"[reading=…]", aReading(), "which gateway; each-request if it is not said"},
		},
		run: (*call).try,
	}}
}

func (c *call) arrange() error {
	c.nb.trial, c.nb.phase, c.nb.stayed = trial.New(c.ctx(), c.b(), trial.Plan{}), history.PhaseArrange, nil
	if err := c.nb.trial.Arrange(); err != nil {
		return err
	}
	c.nb.before = c.nb.now()
	c.say("every gateway has asked once, and was told the truth")
	return nil
}

func (c *call) report() error {
	v, err := c.nb.judge(c.one("scenario"))
	if err != nil {
		return c.wrong("%v", err)
	}
	c.say("verdict: %s", v.Label()) // not what healed: which answer was the last wrong one is a matter of moments
	if v.Outcome == verdict.Unknown {
		c.say("%s", c.nb.clean(v.Why))
	}
	for _, e := range v.Evidence {
		if wrong := wrongly(e.Ghosts, e.Hidden); len(wrong) > 0 && v.Outcome != verdict.Heals {
			of := history.Resolve{Source: e.Source, Via: e.Proxy, Revision: e.Revision}
			c.say("%s  %s  %s", e.Gateway, strings.Join(wrong, " "), c.nb.origin(of, 0))
		}
	}
	return nil
}

// judge ends the trial and judges it.
func (nb *Notebook) judge(scenario string) (verdict.Verdict, error) {
	if nb.phase == "" || nb.phase == history.PhaseEnd {
		return verdict.Verdict{}, fmt.Errorf("no trial was begun: arrange begins one")
	}
	nb.trial.Registered = nb.stayed
	if nb.phase == history.PhaseObserve && len(nb.held) == 0 {
		if err := nb.trial.Observe(); err != nil {
			return verdict.Verdict{}, err
		}
	}
	nb.begin(history.PhaseEnd)
	v, top := nb.trial.Judge(), nb.bench.Topology
	fix := cmp.Or(nb.fix, top.Variant.Name, "none") // a fix that is a variant has its name
	nb.verdicts = append(nb.verdicts, Verdict{scenario, fix, string(top.Reading), v.Label()})
	return v, nil
}
