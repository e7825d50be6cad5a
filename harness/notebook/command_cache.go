package notebook

import (
	"strings"

	"ghostroute/harness/history"
	"ghostroute/harness/keys"
	"ghostroute/harness/proxy"
)

func cacheCommand() Command {
	return Command{
		Name:    "cache",
		Theme:   "Look",
		Does:    "What each proxy remembers: the question, its answer, and the revision that was true at. Looking this way changes nothing.",
		Example: "cache p1 p2",
		Args:    []Arg{{Name: "proxy", Kind: aProxy(), Optional: true, Many: true, Says: "all of them if none is named"}},
		run: func(c *call) error {
			names := c.all("proxy")
			if len(names) == 0 {
				names = c.nb.proxyNames()
			}
			c.awaits("the truth, from a member")
			truth, err := c.b().Truth(c.ctx())
			if err != nil {
				return err
			}
			for _, p := range names {
				found := false
				for _, e := range c.b().Proxy(p).Cache(c.ctx()) {
					if strings.HasPrefix(e.Key, probePrefix) {
						continue // the notebook's own
					}
					found = true
					c.entry(p, e, truth)
				}
				if !found {
					c.say("%s remembers nothing", p)
				}
			}
			return nil
		},
	}
}

// entry says what one entry is, and, where it answers for the whole service, how it stands to truth.
func (c *call) entry(p string, e proxy.Entry, truth history.Truth) {
	shape := ""
	if e.Shape != "" {
		shape = " (" + e.Shape + ")"
	}
	answer := history.Resolve{Source: history.Hit, Via: p, Revision: e.Revision}
	var names []string
	for _, k := range e.Keys {
		name := keyName(k)
		if service, id, ok := keys.Parse(k); ok && service == truth.Service {
			answer.Endpoints = append(answer.Endpoints, history.Endpoint{ID: id, Address: addressOf(truth, id)})
			name = id
		}
		names = append(names, name)
	}
	c.say("%s remembers %s%s: %s (revision %d)", p, rangeName(e.Key, e.End), shape, list(names), c.nb.revision(e.Revision))
	if e.Key == c.b().ServicePrefix() && e.End != "" && e.Shape == "" && !answer.Agrees(truth) {
		c.compare(answer, truth)
	}
}

// addressOf is where truth has an instance, for an entry's keys do not say; whom truth does not have is somewhere else.
func addressOf(truth history.Truth, id string) string {
	for _, e := range truth.Endpoints {
		if e.ID == id {
			return e.Address
		}
	}
	return "gone"
}
