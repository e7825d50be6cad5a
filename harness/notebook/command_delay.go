package notebook

import "ghostroute/harness/history"

func delayCommand() Command {
	return Command{
		Name:    "delay",
		Theme:   "Faults",
		Does:    "Makes a way slow, each time and in both directions: from a proxy to the members, or from a client to the balancer. 0s ends it, as mend does.",
		Example: "delay p2 by=50ms",
		Args: []Arg{
			{Name: "node", Kind: aProxy().or(connected())},
			{Name: "by", Kind: aDuration(), Named: true},
			{Name: "from", Kind: aMember(), Named: true, Optional: true, Says: "for a proxy: the one member it is far from"},
		},
		act: true,
		run: func(c *call) error {
			links, says, err := c.links()
			if err != nil {
				return err
			}
			op := history.Fire
			if c.duration("by") == 0 {
				op = history.End
			}
			for _, l := range links {
				l.SetDelay(c.duration("by"))
				c.b().Fault(history.Delay, op, l.Name(), c.one("by"))
			}
			if op == history.End {
				c.say("what goes between %s and %s is late no more", c.one("node"), says)
				return nil
			}
			c.say("what goes between %s and %s now takes %s longer each way", c.one("node"), says, c.one("by"))
			return nil
		},
	}
}
