package notebook

import (
	"slices"

	"ghostroute/harness/conn"
	"ghostroute/harness/history"
)

func reconnectCommand() Command {
	return Command{
		Name:    "reconnect",
		Theme:   "Connections",
		Does:    "Closes the connections of clients, one after another: each makes a new one, and the balancer says where to.",
		Example: "reconnect g1",
		Args:    []Arg{{Name: "client", Kind: connected(), Many: true}},
		act:     true,
		run: func(c *call) error {
			for _, client := range c.all("client") {
				if err := c.reconnect(client); err != nil {
					return err
				}
				c.say("%s", c.pinned([]string{client}))
			}
			return nil
		},
	}
}

// reconnect closes a client's connection and waits until it has another.
func (c *call) reconnect(client string) error {
	c.awaits("the balancer to give %s a connection", client)
	return c.b().Reconnect(c.ctx(), client)
}

// comesBack waits until a client that had no way to the balancer when the history had n events has a connection again. One that is held while
// it registers comes back by itself.
func (c *call) comesBack(n int, client string) error {
	c.awaits("%s to be connected", client)
	if slices.Contains(slices.Concat(c.nb.gatewayNames(), c.nb.instances, c.nb.clients), client) {
		client, err := c.connect(client)
		if err != nil {
			return err
		}
		if err := conn.Ready(c.ctx(), client.ActiveConnection()); err != nil {
			return err
		}
	}
	_, err := c.b().History.Wait(c.ctx(), n, func(e history.Event) bool {
		return e.Conn != nil && e.Conn.Op == "open" && e.Conn.Client == client
	})
	return err
}
