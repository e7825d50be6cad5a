package notebook

func expireCommand() Command {
	return Command{
		Name:    "expire",
		Theme:   "Change",
		Does:    "Waits until the leases of instances that crashed have run out, so that etcd itself deletes their keys.",
		Example: "expire v1-a",
		Args:    []Arg{{Name: "instance", Kind: anInstance(), Many: true}},
		act:     true,
		run: func(c *call) error {
			for _, id := range c.all("instance") {
				c.awaits("the lease of %s to run out", id)
				truth, err := c.b().WaitGone(c.ctx(), id)
				if err != nil {
					return err
				}
				c.say("the lease of %s has run out: etcd deletes its key (revision %d)", id, c.nb.revision(truth.Revision))
			}
			return nil
		},
	}
}
