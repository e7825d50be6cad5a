package notebook

import "ghostroute/harness/history"

func arrangeCommand() Command {
	return Command{
		Name:    "arrange",
		Theme:   "Judge",
		Does:    "Begins a trial: every gateway asks once and must be told the truth. What is changed from here on, and what the gateways are told after it, is what report judges.",
		Example: "arrange",
		run: func(c *call) error {
			c.awaits("every gateway to be told the truth")
			c.nb.arranged, c.nb.stayed = c.b().History.Len(), nil
			c.nb.begin(history.PhaseArrange)
			if err := c.b().Prime(c.ctx()); err != nil {
				return err
			}
			c.nb.before = c.nb.now()
			c.say("every gateway has asked once, and was told the truth")
			return nil
		},
	}
}
