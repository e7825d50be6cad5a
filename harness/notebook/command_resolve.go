package notebook

func resolveCommand() Command {
	return Command{
		Name:    "resolve",
		Theme:   "Look",
		Does:    "Gateways ask the registry who runs the service, and call nobody. The second line says where the answer came from and how it stands to truth.",
		Example: "resolve g1 g2",
		Args: []Arg{
			{Name: "gateway", Kind: aGateway(), Optional: true, Many: true, Says: "all of them if none is named"},
			{Name: "service", Kind: aText(), Named: true, Optional: true, Says: "another service than the bench's"},
		},
		look: true,
		run: func(c *call) error {
			for _, g := range c.gateways() {
				c.awaits("an answer to %s", g)
				if err := c.told(g, c.b().Gateway(g).Resolve(c.ctx(), c.service()), c.service()); err != nil {
					return err
				}
			}
			return nil
		},
	}
}
