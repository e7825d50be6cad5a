package notebook

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"ghostroute/harness"
	"ghostroute/harness/gateway"
	"ghostroute/harness/history"
	"ghostroute/harness/verdict"
)

func reportCommand() Command {
	return Command{
		Name:  "report",
		Theme: "Judge",
		Does: "Ends a trial that arrange began, and says what it came to: fresh (no answer was wrong), heals (some were, and then none), stale (some still are, and nothing will change that), " +
			"or unknown. It is judged as the matrix is.",
		Example: "report",
		Args: []Arg{
			{Name: "scenario", Kind: aScenario(), Named: true, Optional: true, Says: "which of the matrix this is: the tests see that both come to the same"},
		},
		run: func(c *call) error {
			v, err := c.nb.judge(c.one("scenario"))
			if err != nil {
				return c.wrong("%v", err)
			}
			c.say("verdict: %s", v.Label()) // not what healed: which answer was the last wrong one is a matter of moments
			if v.Outcome == verdict.Unknown {
				c.say("%s", c.nb.clean(v.Why))
			}
			for _, e := range v.Evidence {
				if line := c.nb.evidence(e); line != "" && v.Outcome != verdict.Heals {
					c.say("%s  %s", e.Gateway, line)
				}
			}
			return nil
		},
	}
}

// judge ends the trial and judges it.
func (nb *Notebook) judge(scenario string) (verdict.Verdict, error) {
	if nb.phase == "" || nb.phase == history.PhaseEnd {
		return verdict.Verdict{}, fmt.Errorf("no trial was begun: arrange begins one")
	}
	nb.begin(history.PhaseEnd)
	top := nb.bench.Topology
	v := verdict.Judge(nb.bench.History.Since(nb.arranged), verdict.Question{
		Service: top.Service, Gateways: nb.gatewayNames(), Reading: string(top.Reading), HealsWithin: healsWithin(top), Registered: nb.stayed,
	})
	fix := nb.fix
	if fix == "" {
		fix = cmp.Or(top.Variant.Name, "none") // a fix that is a variant has its name
	}
	nb.verdicts = append(nb.verdicts, Verdict{Scenario: scenario, Fix: fix, Reading: string(top.Reading), Label: v.Label()})
	return v, nil
}

// healsWithin is the longest that the topology may take to heal by itself.
func healsWithin(top harness.Topology) time.Duration {
	d := top.Scrub
	if top.Reading == gateway.GoMicro {
		d = max(d, top.CacheTTL)
	}
	return d
}

// evidence is an answer as the other commands print it.
func (nb *Notebook) evidence(e verdict.Evidence) string {
	from := nb.origin(history.Resolve{Source: e.Source, Via: e.Proxy, Revision: e.Revision}, 0)
	var wrong []string
	if len(e.Ghosts) > 0 {
		wrong = append(wrong, "GHOST "+strings.Join(e.Ghosts, " "))
	}
	if len(e.Hidden) > 0 {
		wrong = append(wrong, "HIDDEN "+strings.Join(e.Hidden, " "))
	}
	if len(wrong) == 0 {
		return ""
	}
	return strings.Join(wrong, " ") + "  " + from.String()
}
