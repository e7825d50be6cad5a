package notebook

import (
	"fmt"
	"slices"

	"ghostroute/harness/history"
	"ghostroute/harness/link"
)

func cutCommand() Command {
	return Command{
		Name:  "cut",
		Theme: "Faults",
		Does: "Cuts a node off. A member hears no other member, and still answers serializable reads from what it has. A proxy hears no member, or not the one that from names. " +
			"A gateway, an instance or a client has no way to any proxy.",
		Example: "cut m3",
		Args: []Arg{
			{Name: "node", Kind: aMember().or(aProxy()).or(connected())},
			{Name: "from", Kind: aMember(), Named: true, Optional: true, Says: "for a proxy: the one member it no longer hears"},
		},
		act: true,
		run: func(c *call) error {
			name := c.one("node")
			if slices.Contains(c.nb.memberNames(), name) {
				return c.cutMember(name)
			}
			links, says, err := c.links()
			if err != nil {
				return err
			}
			for _, l := range links {
				if err := l.Cut(); err != nil {
					return err
				}
				c.b().Fault(history.Cut, history.Fire, l.Name(), "")
			}
			if slices.Contains(c.nb.proxyNames(), name) && len(links) == len(c.nb.memberNames()) {
				c.awaits("%s to notice that it hears nobody", name)
				if err := c.b().Proxy(name).Reach(c.ctx(), false); err != nil {
					return err
				}
			}
			c.say("%s is cut off from %s", name, says)
			return nil
		},
	}
}

// cutMember cuts a member off from the others. It hands leadership over first if it leads: which member leads is chance, and what a
// notebook tells must not depend on it.
func (c *call) cutMember(name string) error {
	if c.has("from") {
		return c.wrong("from is for proxies: %s is cut off from every other member", name)
	}
	cluster := c.b().Cluster
	if len(cluster.Members) == 1 {
		return c.wrong("%s is the only member: there is nobody to cut it off from", name)
	}
	for _, m := range cluster.Members {
		if m.Name != name && m.Running() && !m.IsCut() {
			c.awaits("%s to lead", m.Name)
			if err := cluster.MoveLeader(c.ctx(), m); err != nil {
				return err
			}
			break
		}
	}
	if err := c.settle(); err != nil {
		return err
	}
	if err := cluster.Member(name).Cut(); err != nil {
		return err
	}
	c.say("%s is cut off from the other members", name)
	return nil
}

// links are the ways that cut, mend and delay are about, and whom they lead to.
func (c *call) links() (links []*link.Link, to string, err error) {
	name := c.one("node")
	if !slices.Contains(c.nb.proxyNames(), name) {
		if c.has("from") {
			return nil, "", c.wrong("from is for proxies: %s has one way only", name)
		}
		v := c.b().VIP(name)
		if v == nil {
			return nil, "", fmt.Errorf("%s has no way through the balancer", name)
		}
		return []*link.Link{v.Link}, "the balancer", nil
	}
	members := c.nb.memberNames()
	if c.has("from") {
		members = c.all("from")
	}
	for _, m := range members {
		if l := c.b().Proxy(name).Link(m); l != nil {
			links = append(links, l)
		}
	}
	return links, list(members), nil
}
