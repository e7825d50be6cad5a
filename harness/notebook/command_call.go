package notebook

import (
	"fmt"

	"ghostroute/harness/history"
)

func callCommand() Command {
	return Command{
		Name:    "call",
		Theme:   "Look",
		Does:    "Gateways ask the registry who runs the service, and then really call each instance they are told of, as they would for a user.",
		Example: "call g2",
		Args: []Arg{
			{Name: "gateway", Kind: aGateway(), Optional: true, Many: true, Says: "all of them if none is named"},
			{Name: "service", Kind: aText(), Named: true, Optional: true, Says: "another service than the bench's"},
		},
		look: true,
		run: func(c *call) error {
			for _, g := range c.gateways() {
				c.awaits("an answer to %s", g)
				r, requests := c.b().Gateway(g).CallEach(c.ctx(), c.service())
				if err := c.told(g, r, c.service()); err != nil {
					return err
				}
				c.outcomes(requests)
			}
			return nil
		},
	}
}

// outcomes says what became of the calls, those that ended alike on one line.
func (c *call) outcomes(requests []history.Request) {
	for len(requests) > 0 {
		came, who := outcome(requests[0]), []string{}
		for len(requests) > 0 && outcome(requests[0]) == came {
			who, requests = append(who, target(requests[0])), requests[1:]
		}
		c.say("  calls %s: %s", list(who), c.nb.clean(came))
	}
}

func target(q history.Request) string {
	switch {
	case q.Target != "":
		return q.Target
	case q.Dialled != "":
		return q.Dialled
	}
	return "nobody"
}

// outcome is what became of a request, in the words of whoever got it.
func outcome(q history.Request) string {
	switch {
	case q.Err != "":
		return q.Err
	case q.Status == 200 && q.Answered != q.Service:
		return fmt.Sprintf("200, but from %s %s, which is not %s", q.Answered, q.Instance, q.Service)
	case q.Status == 200 && q.Instance != q.Target:
		return fmt.Sprintf("200, but from %s", q.Instance)
	case q.Log != "":
		return fmt.Sprintf("%d  %s", q.Status, q.Log)
	}
	return fmt.Sprint(q.Status)
}
