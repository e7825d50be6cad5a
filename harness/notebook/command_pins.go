package notebook

func pinsCommand() Command {
	return Command{
		Name:    "pins",
		Theme:   "Look",
		Does:    "Whose connection goes to which proxy. A connection stays where the balancer put it, until somebody closes it.",
		Example: "pins",
		run: func(c *call) error {
			pinned := c.b().Balancer.Pinned()
			for _, who := range [][]string{c.nb.gatewayNames(), c.nb.instanceNames(), c.nb.clientNames()} {
				var here []string
				for _, name := range who {
					if len(pinned[name]) > 0 {
						here = append(here, name)
					}
				}
				if len(here) > 0 {
					c.say("%s", c.pinned(here))
				}
			}
			return nil
		},
	}
}
