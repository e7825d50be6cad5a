package notebook

import (
	"maps"
	"slices"
)

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

// pinnedTo is who has a connection to a proxy: gateways, then instances, then plain clients, then who is just about to register.
func (nb *Notebook) pinnedTo(proxy string) []string {
	known := slices.Concat(nb.gatewayNames(), nb.instances, nb.clients)
	others := slices.Sorted(maps.Keys(nb.bench.Balancer.Pinned()))
	all := slices.Concat(known, slices.DeleteFunc(others, func(name string) bool { return slices.Contains(known, name) }))
	return slices.DeleteFunc(all, func(name string) bool { return nb.bench.PinnedTo(name) != proxy })
}
