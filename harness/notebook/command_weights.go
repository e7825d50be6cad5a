package notebook

import (
	"strconv"
	"strings"
)

func weightsCommand() Command {
	return Command{
		Name:    "weights",
		Theme:   "Connections",
		Does:    "Tells the balancer how many of the new connections each proxy gets. With weight 0 it gets none; those it has stay.",
		Example: "weights 1 0 0",
		Args:    []Arg{{Name: "weight", Kind: aNumber(), Many: true, Says: "one for each proxy"}},
		act:     true,
		run: func(c *call) error {
			proxies := c.nb.proxyNames()
			if len(c.all("weight")) != len(proxies) {
				return c.wrong("there are %d proxies and %d weights", len(proxies), len(c.all("weight")))
			}
			weights, says := map[string]int{}, []string{}
			for i, w := range c.all("weight") {
				weights[proxies[i]], _ = strconv.Atoi(w) // parse has seen that it is a number
				says = append(says, proxies[i]+" "+w)
			}
			if err := c.b().Balancer.SetWeights(weights); err != nil {
				return c.wrong("%v", err)
			}
			c.say("weights are %s", strings.Join(says, ", "))
			return nil
		},
	}
}
