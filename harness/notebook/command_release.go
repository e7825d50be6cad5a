package notebook

import (
	"strings"

	"ghostroute/harness/history"
)

func releaseCommand() Command {
	return Command{
		Name:    "release",
		Theme:   "Faults",
		Does:    "A proxy lets go all that it holds, and holds no more. What became of the commands that were held is printed.",
		Example: "release p1",
		Args:    []Arg{{Name: "proxy", Kind: aProxy()}},
		run: func(c *call) error {
			p := c.one("proxy")
			if len(c.nb.gates[p]) == 0 {
				return c.wrong("%s holds nothing", p)
			}
			c.awaits("%s to let go what it holds", p)
			gates := c.nb.gates[p]
			delete(c.nb.gates, p)
			w := c.nb.lookout() // what one proxy lets go another may hold
			for _, g := range gates {
				g.Release()
			}
			out, err := c.nb.resume(p, w)
			if err != nil {
				return err
			}
			if len(out) == 0 {
				c.say("%s holds no more", p)
			} else {
				c.say("%s", strings.Join(out, "\n"))
			}
			if c.nb.phase == history.PhaseObserve {
				c.b().Phase(history.PhaseRelease, "")
			}
			return nil
		},
	}
}
