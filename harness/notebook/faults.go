package notebook

import (
	"fmt"
	"slices"

	"ghostroute/harness/history"
	"ghostroute/harness/keys"
	"ghostroute/harness/link"
	"ghostroute/harness/proxy"
	"ghostroute/harness/text"
)

func faultCommands() []Command {
	holder := []Arg{{"PROXY", aProxy(), ""}}
	way := anyOf(aProxy(), aGateway(), anInstance(), aClient())
	node := anyOf(aMember(), aProxy(), aGateway(), anInstance(), aClient())
	return []Command{{
		Name: "hold", Example: "hold p1 delete before", act: true,
		Does: "A proxy will hold the next read, put, delete, txn or revoke that passes it: before etcd sees it, or " +
			"after etcd has done it and before the proxy hears of that. A command that is held prints so, and the " +
			"notebook goes on; release prints what became of it, and so does lose. Of a watch everything is held " +
			"that it delivers.",
		Args: []Arg{
			{"PROXY", aProxy(), ""},
			{"RPC", oneOf(text.Each(rpcs[:], func(r rpc) string { return r.word })...), ""},
			{"[POINT]", oneOf(string(history.BeforeMember), string(history.AfterMember)), "after if it is not said"},
		},
		run: (*call).hold,
	}, {
		Name: "release", Example: "release p1",
		Does: "A proxy releases all that it holds, and holds no more. What became of the commands that were held is " +
			"printed.",
		Args: holder,
		run:  func(c *call) error { return c.holdsNoMore((*proxy.Gate).Release) },
	}, {
		Name: "lose", Example: "lose p1", act: true,
		Does: "A proxy loses all that it holds, as a connection that breaks does, and holds no more. A command that " +
			"was held prints what its client is told: an error, whether etcd has done it or not.",
		Args: holder,
		run:  func(c *call) error { return c.holdsNoMore((*proxy.Gate).Lose) },
	}, {
		Name: "cut", Example: "cut m3", act: true,
		Does: "Cuts a node off. A member hears no other member, and still answers serializable reads from what it " +
			"has. A proxy hears no member, or not the one that from names. A gateway, an instance or a client has " +
			"no way to any proxy. Connections are reset, or with silently they stay and nothing comes through.",
		Args: []Arg{
			{"NODE", node, ""},
			{"[silently]", aFlag(), "for a proxy or a client: neither side is told"},
			{"[from=…]", aMember(), "for a proxy: the one member it no longer hears"},
		},
		run: (*call).cut,
	}, {
		Name: "mend", Example: "mend m3", act: true,
		Does: "Ends cut and delay at a node, and waits until it is connected again: a member until it has caught up " +
			"with the others.",
		Args: []Arg{{"NODE", node, ""}, {"[from=…]", aMember(), "for a proxy: the one member to hear again"}},
		run:  (*call).mend,
	}, {
		Name: "delay", Example: "delay p2 by=50ms", act: true,
		Does: "Makes a way slow, each time and in both directions: from a proxy to the members, or from a client to " +
			"the balancer. 0s ends it, as mend does.",
		Args: []Arg{
			{"NODE", way, ""},
			{"by=…", aDuration(), ""},
			{"[from=…]", aMember(), "for a proxy: the one member it is far from"},
		},
		run: (*call).delay,
	}, {
		Name: "wait-for", Example: "wait-for g2 fresh", look: true,
		Does: "Waits until a gateway's answer is the truth (fresh), names an instance that is gone (ghost), or lacks " +
			"one that is there (hidden); until a go-micro gateway has asked the registry again, its own copy being " +
			"too old (asked); until an instance is gone from etcd; until a proxy holds what it was told to hold.",
		Args: []Arg{
			{"NODE", anyOf(aGateway(), anInstance(), aProxy()), ""},
			{"CONDITION", oneOf("fresh", "ghost", "hidden", "asked", "gone", "held"), ""},
		},
		run: (*call).waitFor,
	}}
}

// rpc is the notebook's word for an RPC that can be held, and etcd's name for it.
type rpc struct{ word, name string }

var rpcs = [...]rpc{
	{"read", "Range"}, {"put", "Put"}, {"delete", "DeleteRange"}, {"txn", "Txn"}, {"revoke", "LeaseRevoke"},
	{"watch", "Watch"},
}

// wordFor is the notebook's word for an RPC.
func wordFor(name string) string {
	for _, r := range rpcs {
		if r.name == name {
			return r.word
		}
	}
	return name
}

func (c *call) hold() error {
	p, word := c.one("proxy"), c.one("rpc")
	h := proxy.Hold{Point: history.Point(c.one("point"))}
	for _, r := range rpcs {
		if r.word == word {
			h.RPC = r.name
		}
	}
	what := fmt.Sprintf("the next %s", word)
	switch {
	case word == "watch" && h.Point == history.BeforeMember:
		return c.wrong("what a watch delivers comes from etcd: it is held after")
	case word == "watch":
		h.Key, what = keys.Registry, "whatever a watch delivers"
	}
	c.nb.gates[p] = append(c.nb.gates[p], &gate{Gate: c.b().Proxy(p).Hold(h), rpc: word, pos: c.pos})
	if h.Point == history.BeforeMember {
		c.say("%s will hold %s, before etcd sees it", p, what)
	} else {
		c.say("%s will hold %s, on its way back from etcd", p, what)
	}
	return nil
}

// holdsNoMore ends what a proxy holds, one way or the other, and prints what becomes of the commands that were held.
func (c *call) holdsNoMore(end func(*proxy.Gate)) error {
	p := c.one("proxy")
	gates := c.nb.gates[p]
	if len(gates) == 0 {
		return c.wrong("%s holds nothing", p)
	}
	delete(c.nb.gates, p)
	w := c.nb.lookout() // what one proxy releases another may hold
	for _, g := range gates {
		end(g.Gate)
	}
	out, err := c.nb.resume(p, w)
	if err != nil {
		return err
	}
	if len(out) == 0 {
		out = []string{p + " holds no more"}
	}
	c.lines = append(c.lines, out...)
	if c.nb.phase == history.PhaseObserve {
		c.b().Phase(history.PhaseRelease, "")
	}
	return nil
}

func (c *call) cut() error {
	name, from := c.one("node"), c.all("from")
	if c.nb.kindOf(name) == "member" {
		return c.cutMember(name)
	}
	to, err := c.leadsTo()
	if err != nil {
		return err
	}
	if c.has("silently") {
		c.say("%s is cut off from %s, and neither side is told: what is sent is lost", name, to)
		return c.b().Blackhole(c.ctx(), name, from...)
	}
	c.say("%s is cut off from %s", name, to)
	if err := c.b().Cut(c.ctx(), name, from...); err != nil {
		return err
	}
	return c.noticed()
}

func (c *call) cutMember(name string) error {
	switch {
	case c.has("from"):
		return c.wrong("from is for proxies: %s is cut off from every other member", name)
	case c.has("silently"):
		return c.wrong("silently is for proxies and clients: a member that is cut off is never told")
	case len(c.b().Cluster.Members) == 1:
		return c.wrong("%s is the only member: there is none to cut it off from", name)
	}
	if err := c.b().CutOff(c.ctx(), name); err != nil {
		return err
	}
	c.say("%s is cut off from the other members", name)
	return nil
}

// leadsTo is where the ways lead that cut, mend and delay are about.
func (c *call) leadsTo() (string, error) {
	if name := c.one("node"); c.nb.kindOf(name) != "proxy" {
		if c.has("from") {
			return "", c.wrong("from is for proxies: %s has one way only", name)
		}
		if c.b().Topology.Direct {
			return "the members", nil
		}
		return "the balancer", nil
	}
	return list(c.allOr("from", c.nb.memberNames())), nil
}

// noticed waits until both ends know of a node's cut: the balancer that a client is gone, or a proxy that it hears no
// member, where it hears none.
func (c *call) noticed() error {
	name := c.one("node")
	if c.nb.kindOf(name) != "proxy" {
		return c.disconnected(name)
	}
	return c.b().Reached(c.ctx(), name)
}

func (c *call) mend() error {
	name, from := c.one("node"), c.all("from")
	kind := c.nb.kindOf(name)
	if kind == "member" {
		return c.mendMember(name)
	}
	to, err := c.leadsTo()
	if err != nil {
		return err
	}
	links, err := c.b().Links(name, from...)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(links, func(l *link.Link) bool { _, hole, _ := l.Broken(); return hole }) {
		// What lost bytes cannot go on, and which of several connections did is chance: all end, and that is noticed
		// first.
		if err := c.b().Cut(c.ctx(), name, from...); err != nil {
			return err
		}
		if err := c.noticed(); err != nil {
			return err
		}
	}
	if kind != "proxy" && c.b().PinnedTo(name) == "" {
		err = c.comesBack(name)
	} else {
		err = c.b().Mend(c.ctx(), name, from...)
	}
	if err != nil {
		return err
	}
	if kind != "proxy" {
		c.say("%s has its way back: %s", name, c.pinned([]string{name}))
		return nil
	}
	c.say("%s hears %s again", name, to)
	return c.b().Reached(c.ctx(), name)
}

func (c *call) mendMember(name string) error {
	if c.has("from") {
		return c.wrong("from is for proxies: %s hears every other member again", name)
	}
	if err := c.b().Rejoin(c.ctx(), name); err != nil {
		return err
	}
	c.say("%s hears the others again, and has caught up", name)
	return c.caughtUp()
}

func (c *call) delay() error {
	to, err := c.leadsTo()
	if err != nil {
		return err
	}
	if c.duration("by") == 0 {
		c.say("what goes between %s and %s is late no more", c.one("node"), to)
	} else {
		c.say("what goes between %s and %s now takes %s longer each way", c.one("node"), to, c.one("by"))
	}
	return c.b().Delay(c.ctx(), c.duration("by"), c.one("node"), c.all("from")...)
}
