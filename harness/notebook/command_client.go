package notebook

import "fmt"

func clientCommand() Command {
	return Command{
		Name:    "client",
		Theme:   "Set up",
		Does:    "Connects one more client of etcd through the balancer: an operator, a cron job, another team. One called ops is there already.",
		Example: "client eve user=eve",
		Args: []Arg{
			{Name: "name", Kind: aText(), Says: "what to call it"},
			{Name: "user", Kind: aText(), Named: true, Optional: true, Says: "whom it logs in as, where etcd asks"},
		},
		run: func(c *call) error {
			name, user := c.one("name"), c.one("user")
			for _, taken := range [][]string{c.nb.clientNames(), c.nb.gatewayNames(), c.nb.instanceNames(), c.nb.proxyNames(), c.nb.memberNames()} {
				for _, t := range taken {
					if t == name {
						return c.wrong("there is a %s already", name)
					}
				}
			}
			c.awaits("%s to be connected", name)
			var err error
			if user == "" {
				_, err = c.b().Client(c.ctx(), name)
			} else {
				_, err = c.b().ClientAs(c.ctx(), name, user, user)
			}
			if err != nil {
				return fmt.Errorf("%s was not connected: %s", name, c.nb.clean(err.Error()))
			}
			c.nb.clients = append(c.nb.clients, name)
			c.nb.users[name] = user
			if user != "" {
				c.say("%s, logged in as %s", c.pinned([]string{name}), user)
			} else {
				c.say("%s", c.pinned([]string{name}))
			}
			return nil
		},
	}
}
