package notebook

func deregisterCommand() Command {
	return Command{
		Name:    "deregister",
		Theme:   "Change",
		Does:    "Instances leave in good order: each deletes its key from etcd over its own connection, and then stops.",
		Example: "deregister v1-a",
		Args:    []Arg{{Name: "instance", Kind: anInstance(), Many: true}},
		act:     true,
		run: func(c *call) error {
			for _, id := range c.all("instance") {
				n := c.b().History.Len()
				c.nb.left(id)
				c.awaits("%s to be deregistered", id)
				err := c.b().Deregister(c.ctx(), id)
				if err != nil && c.nb.ctx.Err() != nil {
					return err
				}
				if err != nil {
					c.say("%s stops, and could not deregister: %s", id, c.nb.clean(err.Error()))
					continue
				}
				for _, w := range c.writes(n, id) {
					if w.Op == "delete" {
						c.say("%s deregisters%s (revision %d) and stops", id, through(w), c.nb.revision(w.Revision))
					}
				}
				for _, w := range c.writes(n, "scatter") {
					c.say("its key is deleted through %s, too", w.Via)
				}
				if err := c.disconnected(id); err != nil {
					return err
				}
				if err := c.settle(); err != nil {
					return err
				}
			}
			return nil
		},
	}
}
