package notebook

import (
	"strings"

	"ghostroute/harness"
	"ghostroute/harness/history"
)

// origin says where an answer came from, in the notebook's revisions. truth is etcd's revision; 0 where it is not to be said.
func (nb *Notebook) origin(r history.Resolve, truth int64) history.Origin {
	r.Revision = nb.revision(r.Revision)
	return r.Origin(nb.revision(truth))
}

// compare says of an answer how it stands to truth: a line for its ghosts, one for what it hides, or one that says it is fresh.
func (c *call) compare(r history.Resolve, truth history.Truth) {
	from := c.nb.origin(r, truth.Revision)
	ghosts, hidden := history.Compare(r.Endpoints, truth.Endpoints)
	if len(ghosts) > 0 {
		c.say("GHOST %s  %s", strings.Join(ghosts, " "), from)
	}
	if len(hidden) > 0 {
		c.say("HIDDEN %s  %s", strings.Join(hidden, " "), from)
	}
	if len(ghosts)+len(hidden) == 0 {
		c.say("fresh  %s", from)
	}
}

// told says what a reader of the registry was told, and how that stands to truth.
func (c *call) told(who string, r history.Resolve, service string) error {
	if r.Err != "" {
		c.say("%s is told nothing: %s", who, c.nb.clean(r.Err))
		return nil
	}
	c.awaits("the truth about %s, from a member", service)
	truth, err := c.b().TruthOf(c.ctx(), service)
	if err != nil {
		return err
	}
	c.say("%s is told %s", who, ids(r.Endpoints))
	c.compare(r, truth)
	return nil
}

// service is the service a command is about: the bench's unless it names another.
func (c *call) service() string {
	if s := c.one("service"); s != "" {
		return s
	}
	return c.b().Topology.Service
}

// gateways are those a command names, or all.
func (c *call) gateways() []string {
	if g := c.all("gateway"); len(g) > 0 {
		return g
	}
	return c.nb.gatewayNames()
}

// disconnected waits until the balancer has noticed that a client that ended has gone.
func (c *call) disconnected(client string) error {
	c.awaits("the balancer to notice that %s has gone", client)
	return harness.Until(c.ctx(), func() bool { return c.b().PinnedTo(client) == "" })
}

// settle waits until every member has applied what any has, so that what is read next does not depend on who answers.
func (c *call) settle() error {
	c.awaits("etcd's members to agree")
	_, err := c.b().Settle(c.ctx())
	return err
}

// writes are what a node wrote since the history had n events, and etcd acknowledged.
func (c *call) writes(n int, who string) []*history.Write {
	var all []*history.Write
	for _, e := range c.b().History.Since(n) {
		if e.Write != nil && e.Who == who && e.Write.Err == "" {
			all = append(all, e.Write)
		}
	}
	return all
}

// through says which way a write went, after a space; nothing where no proxy was on it.
func through(w *history.Write) string {
	if w.Via == "" {
		return ""
	}
	return " through " + w.Via
}
