package notebook

func crashCommand() Command {
	return Command{
		Name:    "crash",
		Theme:   "Change",
		Does:    "Instances die: they serve nobody, renew nothing, and deregister nothing. etcd keeps the key until the lease has run out (see expire).",
		Example: "crash v1-a",
		Args:    []Arg{{Name: "instance", Kind: anInstance(), Many: true}},
		act:     true,
		run: func(c *call) error {
			for _, id := range c.all("instance") {
				if err := c.b().Instance(id).Crash(); err != nil {
					return err
				}
				if err := c.disconnected(id); err != nil {
					return err
				}
				c.nb.left(id)
				c.say("%s crashes. It deregisters nothing", id)
			}
			return nil
		},
	}
}
