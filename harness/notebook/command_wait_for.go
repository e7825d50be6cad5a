package notebook

import (
	"fmt"
	"slices"

	"ghostroute/harness"
	"ghostroute/harness/history"
)

// conditions are what can be waited for.
var conditions = [...]string{"fresh", "ghost", "hidden", "asked", "gone", "held"}

func waitForCommand() Command {
	return Command{
		Name:  "wait-for",
		Theme: "Faults",
		Does: "Waits until a gateway is told the truth (fresh), of somebody who is gone (ghost), or not of somebody who is there (hidden); until a go-micro gateway has asked the registry again, its own copy being too old (asked); until an instance is gone from etcd; " +
			"until a proxy holds what it was told to hold.",
		Example: "wait-for g2 fresh",
		Args: []Arg{
			{Name: "node", Kind: aGateway().or(anInstance()).or(aProxy())},
			{Name: "condition", Kind: oneOf(conditions[:]...)},
		},
		look: true,
		run: func(c *call) error {
			name, condition := c.one("node"), c.one("condition")
			gateway, instance := slices.Contains(c.nb.gatewayNames(), name), slices.Contains(c.nb.instances, name)
			switch condition {
			case "held":
				if gateway || instance {
					return c.wrong("held is for a proxy, and %s is none", name)
				}
				return c.waitHeld(name)
			case "gone":
				if !instance {
					return c.wrong("gone is for an instance, and %s is none", name)
				}
				c.awaits("%s to be gone from etcd", name)
				truth, err := c.b().WaitGone(c.ctx(), name)
				if err != nil {
					return err
				}
				c.say("truth is %s (revision %d)", ids(truth.Endpoints), c.nb.revision(truth.Revision))
				return nil
			}
			if !gateway {
				return c.wrong("%s is for a gateway, and %s is none", condition, name)
			}
			return c.waitTold(name, condition)
		},
	}
}

func (c *call) waitHeld(p string) error {
	gates := c.nb.gates[p]
	if len(gates) == 0 {
		return c.wrong("%s was not told to hold anything", p)
	}
	for _, g := range gates {
		c.awaits("%s to hold a %s", p, g.rpc)
		if err := g.Caught(c.ctx()); err != nil {
			return err
		}
		c.say("%s holds what its %s delivers", p, g.rpc)
	}
	return nil
}

func (c *call) waitTold(gateway, condition string) error {
	c.awaits("the truth, from a member")
	truth, err := c.b().Settle(c.ctx())
	if err != nil {
		return err
	}
	var last history.Resolve
	since := c.b().History.Now()
	err = harness.Until(c.ctx(), func() bool {
		last = c.b().Gateway(gateway).Resolve(c.ctx(), c.service())
		c.awaits("%s to be told %s: it is told %s (%s), and truth is %s", gateway, wanted(condition), ids(last.Endpoints), c.nb.origin(last, 0), ids(truth.Endpoints))
		ghosts, hidden := history.Compare(last.Endpoints, truth.Endpoints)
		switch condition {
		case "asked":
			read, ok := c.b().Gateway(gateway).Registry().LastRead(c.service())
			return ok && read.Began > since
		case "ghost":
			return last.Err == "" && len(ghosts) > 0
		case "hidden":
			return last.Err == "" && len(hidden) > 0
		}
		return last.Agrees(truth)
	})
	if err != nil {
		return fmt.Errorf("it never came to that: %w", err)
	}
	if condition == "asked" {
		// Who asked is chance: the read was this command's, or one of go-micro's own on the news of a change. Both fill the same cache.
		read, _ := c.b().Gateway(gateway).Registry().LastRead(c.service())
		var of history.Resolve
		read.Provenance(&of)
		c.say("%s asks the registry again: %d of %s  %s", gateway, read.Found, c.service(), c.nb.origin(of, 0))
		last = c.b().Gateway(gateway).Resolve(c.ctx(), c.service())
	}
	return c.told(gateway, last, c.service())
}

func wanted(condition string) string {
	switch condition {
	case "ghost":
		return "of somebody who is gone"
	case "hidden":
		return "too little"
	case "asked":
		return "anything by the registry"
	}
	return "the truth"
}
