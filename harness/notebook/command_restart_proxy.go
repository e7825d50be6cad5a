package notebook

import "strings"

func restartProxyCommand() Command {
	return Command{
		Name:    "restart-proxy",
		Theme:   "Connections",
		Does:    "A proxy ends and starts again with nothing remembered. Whoever was connected to it makes a new connection, one after another, and the balancer says where to.",
		Example: "restart-proxy p2",
		Args:    []Arg{{Name: "proxy", Kind: aProxy(), Many: true}},
		act:     true,
		run: func(c *call) error {
			for _, p := range c.all("proxy") {
				if err := c.restartProxy(p); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// restartProxy keeps the proxy's clients away meanwhile, so that they come back in an order of ours.
func (c *call) restartProxy(p string) error {
	w := c.nb.lookout()
	clients := c.nb.pinnedTo(p)
	for _, client := range clients {
		if err := c.b().VIP(client).Cut(); err != nil {
			return err
		}
	}
	c.awaits("%s to be back", p)
	if err := c.b().Proxy(p).Restart(c.ctx()); err != nil {
		return err
	}
	delete(c.nb.gates, p) // a proxy that stops loses what it held
	for _, client := range clients {
		m := c.b().History.Len()
		c.b().VIP(client).Mend()
		if err := c.comesBack(m, client); err != nil {
			return err
		}
	}
	c.say("%s starts again and remembers nothing", p)
	if len(clients) > 0 {
		c.say("%s", c.pinned(clients))
	}
	out, err := c.nb.resume(p, w)
	if len(out) > 0 {
		c.say("%s", strings.Join(out, "\n"))
	}
	return err
}
