package notebook

func drainCommand() Command {
	return Command{
		Name:    "drain",
		Theme:   "Connections",
		Does:    "Closes every connection to a proxy, one after another: each client makes a new one, and the balancer says where to. Give the proxy weight 0 first, or they may come back.",
		Example: "drain p2",
		Args:    []Arg{{Name: "proxy", Kind: aProxy()}},
		act:     true,
		run: func(c *call) error {
			p := c.one("proxy")
			moved := c.nb.pinnedTo(p)
			for _, client := range moved {
				if err := c.reconnect(client); err != nil {
					return err
				}
			}
			c.say("%s is drained: %s", p, c.pinned(moved))
			return nil
		},
	}
}

// pinnedTo is who has a connection to a proxy: gateways, then instances, then plain clients.
func (nb *Notebook) pinnedTo(proxy string) []string {
	var all []string
	for _, names := range [][]string{nb.gatewayNames(), nb.instances, nb.clients} {
		for _, name := range names {
			if nb.bench.PinnedTo(name) == proxy {
				all = append(all, name)
			}
		}
	}
	return all
}
