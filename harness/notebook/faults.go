package notebook

import (
	"fmt"
	"slices"

	"ghostroute/harness/history"
	"ghostroute/harness/keys"
	"ghostroute/harness/link"
	"ghostroute/harness/proxy"
)

func faultCommands() []Command {
	holder := []Arg{{"PROXY", aProxy(), ""}}
	way := anyOf(aProxy(), aGateway(), anInstance(), aClient())
	node := anyOf(aMember(), aProxy(), aGateway(), anInstance(), aClient())
	return []Command{{
		Name: "hold",
		Does: "A proxy will hold the next read, put, delete, txn or revoke that passes it: before etcd sees it, or after etcd has done it and before " +
			"the proxy hears of that. A command that is held prints so, and the notebook goes on; release prints what became of it, and so does lose. Of a " +
			"watch everything is held that it delivers.",
		Example: "hold p1 delete before",
		Args: []Arg{
			{"PROXY", aProxy(), ""},
			{"RPC", oneOf(named(rpcs[:], func(r rpc) string { return r.word })...), ""},
			{"[POINT]", oneOf(string(history.BeforeMember), string(history.AfterMember)), "after if it is not said"},
		},
		act: true,
		run: (*call).hold,
	}, {
		Name:    "release",
		Does:    "A proxy releases all that it holds, and holds no more. What became of the commands that were held is printed.",
		Example: "release p1",
		Args:    holder,
		run:     func(c *call) error { return c.holdsNoMore((*proxy.Gate).Release) },
	}, {
		Name: "lose",
		Does: "A proxy loses all that it holds, as a connection that breaks does, and holds no more. A command that was held prints what its client is " +
			"told: an error, whether etcd has done it or not.",
		Example: "lose p1",
		Args:    holder,
		act:     true,
		run:     func(c *call) error { return c.holdsNoMore((*proxy.Gate).Lose) },
	}, {
		Name: "cut",
		Does: "Cuts a node off. A member hears no other member, and still answers serializable reads from what it has. A proxy hears no member, or " +
			"not the one that from names. A gateway, an instance or a client has no way to any proxy. Connections are reset, or with silently they stay and " +
			"nothing comes through.",
		Example: "cut m3",
		Args: []Arg{
			{"NODE", node, ""},
			{"[silently]", aFlag(), "for a proxy or a client: neither side is told"},
			{"[from=…]", aMember(), "for a proxy: the one member it no longer hears"},
		},
		act: true,
		run: (*call).cut,
	}, {
		Name:    "mend",
		Does:    "Ends cut and delay at a node, and waits until it is connected again: a member until it has caught up with the others.",
		Example: "mend m3",
		Args:    []Arg{{"NODE", node, ""}, {"[from=…]", aMember(), "for a proxy: the one member to hear again"}},
		act:     true,
		run:     (*call).mend,
	}, {
		Name:    "delay",
		Does:    "Makes a way slow, each time and in both directions: from a proxy to the members, or from a client to the balancer. 0s ends it, as mend does.",
		Example: "delay p2 by=50ms",
		Args: []Arg{
			{"NODE", way, ""},
			{"by=…", aDuration(), ""},
			{"[from=…]", aMember(), "for a proxy: the one member it is far from"},
		},
		act: true,
		run: (*call).delay,
	}, waitForCommand()}
}

// rpc is the notebook's word for an RPC that can be held, and etcd's name for it.
type rpc struct{ word, name string }

var rpcs = [...]rpc{{"read", "Range"}, {"put", "Put"}, {"delete", "DeleteRange"}, {"txn", "Txn"}, {"revoke", "LeaseRevoke"}, {"watch", "Watch"}}

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
	c.awaits("%s to hold no more", p)
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
	name := c.one("node")
	if slices.Contains(c.nb.memberNames(), name) {
		return c.cutMember(name)
	}
	links, to, err := c.links()
	if err != nil {
		return err
	}
	for _, l := range links {
		if c.has("silently") {
			l.Blackhole(link.Both)
			c.nb.silent[l] = true
			c.b().Fault(history.Blackhole, history.Fire, l.Name(), "")
			continue
		}
		if err := l.Cut(); err != nil {
			return err
		}
		c.b().Fault(history.Cut, history.Fire, l.Name(), "")
	}
	if c.has("silently") {
		c.say("%s is cut off from %s, and neither side is told: what is sent is lost", name, to)
		return nil
	}
	if err := c.noticed(links); err != nil {
		return err
	}
	c.say("%s is cut off from %s", name, to)
	return nil
}

// noticed waits until a proxy has noticed that it hears no member, once all of its links are cut.
func (c *call) noticed(links []*link.Link) error {
	name := c.one("node")
	if !slices.Contains(c.nb.proxyNames(), name) || len(links) != len(c.nb.memberNames()) {
		return nil
	}
	c.awaits("%s to notice that it hears no member", name)
	return c.b().Proxy(name).Reach(c.ctx(), false)
}

// cutMember cuts a member off from the others. It hands leadership over first if it leads: which member leads is chance, and what a
// notebook tells must not depend on it.
func (c *call) cutMember(name string) error {
	cluster := c.b().Cluster
	switch {
	case c.has("from"):
		return c.wrong("from is for proxies: %s is cut off from every other member", name)
	case c.has("silently"):
		return c.wrong("silently is for proxies and clients: a member that is cut off is never told")
	case len(cluster.Members) == 1:
		return c.wrong("%s is the only member: there is none to cut it off from", name)
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

// links are the ways that cut, mend and delay are about, and where they lead.
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
	members := c.allOr("from", c.nb.memberNames())
	for _, m := range members {
		if l := c.b().Proxy(name).Link(m); l != nil {
			links = append(links, l)
		}
	}
	return links, list(members), nil
}

func (c *call) mend() error {
	name := c.one("node")
	if slices.Contains(c.nb.memberNames(), name) {
		return c.mendMember(name)
	}
	links, to, err := c.links()
	if err != nil {
		return err
	}
	if err := c.reset(links); err != nil {
		return err
	}
	n := c.b().History.Len()
	for _, l := range links {
		l.Mend()
		kind := history.Cut
		if c.nb.silent[l] {
			kind = history.Blackhole
		}
		delete(c.nb.silent, l)
		c.b().Fault(kind, history.End, l.Name(), "")
	}
	if !slices.Contains(c.nb.proxyNames(), name) {
		if c.b().PinnedTo(name) == "" {
			if err := c.comesBack(n, name); err != nil {
				return err
			}
		}
		c.say("%s has its way back: %s", name, c.pinned([]string{name}))
		return nil
	}
	c.awaits("%s to be connected to etcd", name)
	if err := c.b().Proxy(name).Reach(c.ctx(), true); err != nil {
		return err
	}
	c.say("%s hears %s again", name, to)
	return nil
}

// reset has the connections that a silent cut kept end, and waits until that is noticed. One that lost bytes could not go on, and which of
// several did is chance.
func (c *call) reset(links []*link.Link) error {
	var silent []*link.Link
	for _, l := range links {
		if !c.nb.silent[l] {
			continue
		}
		silent = append(silent, l)
		if err := l.Cut(); err != nil {
			return err
		}
	}
	if name := c.one("node"); len(silent) > 0 && !slices.Contains(c.nb.proxyNames(), name) {
		return c.disconnected(name)
	}
	return c.noticed(silent)
}

func (c *call) mendMember(name string) error {
	if c.has("from") {
		return c.wrong("from is for proxies: %s hears every other member again", name)
	}
	if err := c.b().Cluster.Member(name).Mend(); err != nil {
		return err
	}
	c.awaits("%s to catch up", name)
	if err := c.settle(); err != nil {
		return err
	}
	c.say("%s hears the others again, and has caught up", name)
	return nil
}

func (c *call) delay() error {
	links, to, err := c.links()
	if err != nil {
		return err
	}
	op := history.Fire
	if c.duration("by") == 0 {
		op = history.End
	}
	for _, l := range links {
		l.SetDelay(c.duration("by"))
		c.b().Fault(history.Delay, op, l.Name(), c.one("by"))
	}
	if op == history.End {
		c.say("what goes between %s and %s is late no more", c.one("node"), to)
		return nil
	}
	c.say("what goes between %s and %s now takes %s longer each way", c.one("node"), to, c.one("by"))
	return nil
}
