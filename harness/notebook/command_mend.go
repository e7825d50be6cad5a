package notebook

import (
	"slices"

	"ghostroute/harness/history"
)

func mendCommand() Command {
	return Command{
		Name:    "mend",
		Theme:   "Faults",
		Does:    "Ends cut and delay at a node, and waits until it is connected again: a member until it has caught up with the others.",
		Example: "mend m3",
		Args: []Arg{
			{Name: "node", Kind: aMember().or(aProxy()).or(connected())},
			{Name: "from", Kind: aMember(), Named: true, Optional: true, Says: "for a proxy: the one member to hear again"},
		},
		act: true,
		run: func(c *call) error {
			name := c.one("node")
			if slices.Contains(c.nb.memberNames(), name) {
				if c.has("from") {
					return c.wrong("from is for proxies: %s hears every other member again", name)
				}
				if err := c.b().Cluster.Member(name).Mend(); err != nil {
					return err
				}
				c.awaits("%s to catch up", name)
				if err := c.settle(); err != nil {
					return err
				}
				c.say("%s hears the others again, and has caught up", name)
				return nil
			}
			links, says, err := c.links()
			if err != nil {
				return err
			}
			n := c.b().History.Len()
			for _, l := range links {
				l.Mend()
				c.b().Fault(history.Cut, history.End, l.Name(), "")
			}
			if !slices.Contains(c.nb.proxyNames(), name) {
				if c.b().PinnedTo(name) == "" {
					if err := c.comesBack(n, name); err != nil {
						return err
					}
				}
				c.say("%s has its way back: %s", name, c.pinned([]string{name}))
				return nil
			}
			c.awaits("%s to be connected to etcd", name)
			if err := c.b().Proxy(name).Reach(c.ctx(), true); err != nil {
				return err
			}
			c.say("%s hears %s again", name, says)
			return nil
		},
	}
}
