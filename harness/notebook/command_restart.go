package notebook

import (
	"slices"

	"ghostroute/harness/registry"
)

func restartCommand() Command {
	return Command{
		Name:    "restart",
		Theme:   "Change",
		Does:    "A gateway, an instance or a member ends and starts again, under the same name at the same address. A gateway or an instance makes a new connection, and the balancer gives that to the next proxy.",
		Example: "restart g1",
		Args: []Arg{
			{Name: "node", Kind: aGateway().or(anInstance()).or(aMember()), Many: true},
			{Name: "mode", Kind: aMode(), Named: true, Optional: true, Says: "for a gateway: it reads so from now on"},
		},
		act: true,
		run: func(c *call) error {
			for _, name := range c.all("node") {
				c.awaits("%s to be back", name)
				var err error
				switch {
				case slices.Contains(c.nb.instances, name):
					err = c.restartInstance(name)
				case slices.Contains(c.nb.memberNames(), name):
					err = c.restartMember(name)
				default:
					err = c.restartGateway(name)
				}
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func (c *call) restartGateway(name string) error {
	mode, reads := registry.Mode(c.one("mode")), ""
	var err error
	if mode == "" {
		err = c.b().Gateway(name).Restart(c.ctx())
	} else {
		_, err = c.b().StartGateway(c.ctx(), name, mode)
		reads = ", in mode " + string(mode)
	}
	if err != nil {
		return err
	}
	c.say("%s starts again: %s%s", name, c.pinned([]string{name}), reads)
	return nil
}

func (c *call) restartInstance(id string) error {
	n := c.b().History.Len()
	if _, err := c.b().Restart(c.ctx(), id); err != nil {
		if c.nb.ctx.Err() != nil {
			return err
		}
		c.say("%s does not start again: %s", id, c.nb.clean(err.Error()))
		return nil
	}
	c.say("%s starts again: %s", id, c.pinned([]string{id}))
	c.registered(n, id)
	return c.settle()
}

func (c *call) restartMember(name string) error {
	m := c.b().Cluster.Member(name)
	if err := m.Stop(c.ctx()); err != nil {
		return err
	}
	if err := m.Restart(c.ctx()); err != nil {
		return err
	}
	c.say("%s stops, and starts again with its data", name)
	return c.settle()
}
