package notebook

import (
	"fmt"

	"ghostroute/harness/history"
	"ghostroute/harness/wait"
)

func (c *call) waitFor() error {
	name, condition := c.one("node"), c.one("condition")
	node := c.nb.kindOf(name)
	switch condition {
	case "held":
		if node != "proxy" {
			return c.wrong("held is for a proxy, and %s is none", name)
		}
		return c.waitHeld(name)
	case "gone":
		if node != "instance" {
			return c.wrong("gone is for an instance, and %s is none", name)
		}
		if err := c.b().Expire(c.ctx(), name); err != nil {
			return err
		}
		return c.truth()
	}
	if node != "gateway" {
		return c.wrong("%s is for a gateway, and %s is none", condition, name)
	}
	return c.waitTold(name, condition)
}

func (c *call) waitHeld(p string) error {
	gates := c.nb.gates[p]
	if len(gates) == 0 {
		return c.wrong("%s was not told to hold anything", p)
	}
	for _, g := range gates {
		if err := g.Caught(c.ctx()); err != nil {
			return err
		}
		c.say("%s holds what its %s delivers", p, g.rpc)
	}
	return nil
}

// waitTold resolves until a gateway's answer is as the condition says.
func (c *call) waitTold(name, condition string) error {
	truth, err := c.b().Truth(c.ctx())
	if err != nil {
		return err
	}
	g, since := c.b().Gateway(name), c.b().History.Now()
	var last history.Resolve
	holds := func() bool {
		ghosts, hidden := history.Compare(last.Endpoints, truth.Endpoints)
		switch condition {
		case "asked":
			read, ok := g.Registry().LastRead(c.service())
			return ok && read.Began > since
		case "ghost":
			return last.Err == "" && len(ghosts) > 0
		case "hidden":
			return last.Err == "" && len(hidden) > 0
		}
		return last.Agrees(truth)
	}
	err = wait.For(c.ctx(), func() string {
		if r := g.Resolve(c.ctx(), c.service()); c.ctx().Err() == nil { // else it is no answer
			last = r
		}
		if holds() {
			return ""
		}
		return fmt.Sprintf("%s is still not %s: it is told %s (%s), and truth is %s",
			name, condition, ids(last.Endpoints), c.nb.origin(last, 0), ids(truth.Endpoints))
	})
	if err != nil {
		return err
	}
	if condition == "asked" {
		// Which read it was is chance: this command's, or one of go-micro's own on the news of a change. Both fill the
		// same cache.
		read, _ := g.Registry().LastRead(c.service())
		var of history.Resolve
		read.Provenance(&of)
		c.say("%s asks the registry again: %d of %s  %s", name, read.Found, c.service(), c.nb.origin(of, 0))
		last = g.Resolve(c.ctx(), c.service())
	}
	return c.told(name, last, c.service())
}
