package notebook

func truthCommand() Command {
	return Command{
		Name:    "truth",
		Theme:   "Look",
		Does:    "What etcd's members agree on, read past every proxy: who is registered, and at which revision.",
		Example: "truth",
		Args:    []Arg{{Name: "service", Kind: aText(), Named: true, Optional: true, Says: "another service than the bench's"}},
		run: func(c *call) error {
			c.awaits("the truth, from a member")
			t, err := c.b().TruthOf(c.ctx(), c.service())
			if err != nil {
				return err
			}
			c.say("truth is %s (revision %d)", ids(t.Endpoints), c.nb.revision(t.Revision))
			return nil
		},
	}
}
