package scenarios

import (
	"time"

	"ghostroute/harness"
	"ghostroute/harness/explore/lab"
	"ghostroute/harness/proxy"
)

// Claims are the promises that each fix is said to keep, by the names of the explorer's checks: none for the stock proxy. What its
// author says of a fix stands in Fix.Claims; this is what it would mean if it were so. The explorer tries to refute each, and writes what
// came of it to fixtures/found/claims.md. A claim that was refuted stays here: it is what is said, not what is so.
func Claims() map[string][]string {
	everything := []string{"linearizable", "own-writes", "monotonic", "bounded", "agreement", "digest", "convergence", "identity"}
	return map[string][]string{
		"none":             {},
		"get-linearizable": {}, // of GetService only, which no check of a whole history is about
		"all-linearizable": everything,
		"weights":          {"own-writes", "convergence"},
		"weights-drain":    {"own-writes", "convergence"},
		"sticky":           {"own-writes"},
		"no-proxy":         {"digest", "identity"},
		"l4-gateway":       {"digest", "identity"},
		"ordering":         {"monotonic"},
		"leasing":          {"own-writes"},
		"scatter":          {"convergence"},
		"restart-proxies":  {"convergence"},
		"scrubber":         {"convergence"},
		"retry":            {}, // it helps requests, not reads
		"upgrade":          everything,
		"cache-off":        {"digest", "convergence", "identity"},
		"ttl":              {"bounded", "convergence"},
		"invalidate-after": {"convergence"},
		"by-identity":      {"identity"},
		"open-ended":       {}, // one cause less, no promise more
		"watch":            {"convergence"},
		"control":          everything,
	}
}

// Bench is what plans are run on to try a fix's claims: what the fix does to the topology, and of what an operator does for it that
// which a plan can meet. The explorer's proxies forget after 200 ms where the matrix's take longer: a plan is shorter than a trial.
func (f Fix) Bench() lab.Config {
	top := harness.Topology{}
	if f.Apply != nil {
		f.Apply(&top)
	}
	c := lab.Config{Topology: top, Heals: f.Heals}
	switch f.Name {
	case "weights", "weights-drain":
		c.OneProxy = true
	case "restart-proxies":
		c.Restart = true
	case "scrubber", "watch":
		c.Heals = 300 * time.Millisecond // a trial waits for the pass, or the delivery; a plan is given this long
	case "ttl":
		c.Topology.Variant, c.Heals = proxy.TTL(0), 400*time.Millisecond
	}
	return c
}
