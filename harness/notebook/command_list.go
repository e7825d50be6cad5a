package notebook

import (
	"strings"

	micro "github.com/micro/go-micro/v2/registry"

	"ghostroute/harness/history"
	"ghostroute/harness/registry"
)

func listCommand() Command {
	return Command{
		Name:    "list",
		Theme:   "Look",
		Does:    "Gateways ask the registry for every service there is. That is another question than resolve's, so a proxy remembers its answer apart.",
		Example: "list g1",
		Args:    []Arg{{Name: "gateway", Kind: aGateway(), Optional: true, Many: true, Says: "all of them if none is named"}},
		look:    true,
		run: func(c *call) error {
			for _, g := range c.gateways() {
				c.awaits("an answer to %s", g)
				if err := c.list(g); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// list has a gateway's registry list every service, and compares what it says of the bench's.
func (c *call) list(gateway string) error {
	reg := c.b().Gateway(gateway).Registry()
	r := history.Resolve{Began: c.b().History.Now(), Service: c.service(), List: true, Mode: string(reg.Config().Mode),
		Reading: string(c.b().Topology.Reading), Endpoints: []history.Endpoint{}}
	var services []*micro.Service
	var err error
	reads := reg.Trace(c.ctx(), func() { services, err = reg.ListServices() })
	if err != nil {
		r.Err = err.Error()
	}
	if n := len(reads); n > 0 {
		reads[n-1].Provenance(&r)
	}
	var own []*micro.Service
	var names []string
	for _, s := range services {
		names = append(names, s.Name)
		if s.Name == r.Service {
			own = append(own, s)
		}
	}
	r.Endpoints = registry.Endpoints(own)
	c.b().History.Add(history.Event{Who: gateway, Resolve: &r})
	if r.Err != "" {
		return c.told(gateway, r, r.Service)
	}
	c.say("%s lists: %s", gateway, strings.Join(sorted(names), ", "))
	return c.told(gateway, r, r.Service)
}
