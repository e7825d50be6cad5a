package notebook

import (
	"fmt"
	"slices"

	"ghostroute/harness/history"
	"ghostroute/harness/service"
)

func registerCommand() Command {
	return Command{
		Name:    "register",
		Theme:   "Change",
		Does:    "Instances start, connect through the balancer, and register: each writes its name and address into etcd. v2-a is instance a of version v2.",
		Example: "register v2-a v2-b",
		Args: []Arg{
			{Name: "instance", Kind: newInstance(), Many: true},
			{Name: "ttl", Kind: aDuration(), Named: true, Optional: true, Says: "its lease, in whole seconds"},
			{Name: "interval", Kind: aDuration(), Named: true, Optional: true, Says: "how often it renews the lease"},
			{Name: "service", Kind: aText(), Named: true, Optional: true, Says: "another service than the bench's"},
			{Name: "address-of", Kind: anInstance(), Named: true, Optional: true, Says: "it takes the address that this one left"},
		},
		act: true,
		run: func(c *call) error {
			for _, id := range c.all("instance") {
				for _, other := range c.nb.instances {
					if id == other {
						return c.wrong("there is a %s already, or there was: restart %s starts it again", id, id)
					}
				}
				n := c.b().History.Len()
				c.awaits("%s to be registered", id)
				_, err := c.b().Register(c.ctx(), id, c.change)
				if err != nil && c.nb.ctx.Err() != nil {
					return err
				}
				if err != nil {
					c.say("%s is not registered: %s", id, c.nb.clean(err.Error()))
					continue
				}
				c.nb.instances = append(c.nb.instances, id)
				c.registered(n, id)
				if err := c.settle(); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// change is what the arguments change of an instance.
func (c *call) change(cfg *service.Config) {
	if c.has("ttl") {
		cfg.TTL = c.duration("ttl")
	}
	if c.has("interval") {
		cfg.Interval = c.duration("interval")
	}
	if c.has("service") {
		cfg.Service = c.one("service")
	}
	if other := c.one("address-of"); other != "" {
		cfg.Port = c.b().Instance(other).Port()
	}
}

// registered says what an instance wrote when it registered.
func (c *call) registered(n int, id string) {
	if c.b().Instance(id).Config().Service == c.b().Topology.Service {
		c.nb.stayed = append(c.nb.stayed, id)
	}
	as := ""
	if other := c.b().Instance(id).Config().Service; other != c.b().Topology.Service {
		as = " as " + other
	}
	found := id + " knows that it is registered"
	for _, w := range c.writes(n, id) {
		if w.Op == "put" {
			c.say("%s registers%s%s (revision %d)", id, as, through(w), c.nb.revision(w.Revision))
			return
		}
		if w.Read > 0 {
			looked := c.b().History.Event(w.Read)
			of := history.Resolve{Source: looked.Range.Source, Via: looked.Who, Revision: looked.Range.Revision}
			found = fmt.Sprintf("%s looks itself up, and is told that it is registered (%s)", id, c.nb.origin(of, 0))
		}
	}
	c.say("%s", found)
	c.say("%s renews its lease and writes nothing. Register says that all is well", id)
}

// left notes that an instance no longer claims to be registered.
func (nb *Notebook) left(id string) {
	nb.stayed = slices.DeleteFunc(nb.stayed, func(s string) bool { return s == id })
}
