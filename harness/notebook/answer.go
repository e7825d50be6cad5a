package notebook

import (
	"strings"

	"ghostroute/harness/history"
)

// origin says where an answer came from, in the notebook's revisions. truth is etcd's revision; 0 where it is not to be
// said.
func (nb *Notebook) origin(r history.Resolve, truth int64) history.Origin {
	r.Revision = nb.revision(r.Revision)
	return r.Origin(nb.revision(truth))
}

// compare says of an answer how it stands to truth: a line for its ghosts, one for what it hides, or one that says it
// is fresh.
func (c *call) compare(r history.Resolve, truth history.Truth) {
	from := c.nb.origin(r, truth.Revision)
	wrong := wrongly(history.Compare(r.Endpoints, truth.Endpoints))
	for _, what := range wrong {
		c.say("%s  %s", what, from)
	}
	if len(wrong) == 0 {
		c.say("fresh  %s", from)
	}
}

// wrongly names the ghosts of an answer, and what it hides.
func wrongly(ghosts, hidden []string) (wrong []string) {
	if len(ghosts) > 0 {
		wrong = append(wrong, "GHOST "+strings.Join(ghosts, " "))
	}
	if len(hidden) > 0 {
		wrong = append(wrong, "HIDDEN "+strings.Join(hidden, " "))
	}
	return wrong
}

// told says what a reader of the registry was told, and how that stands to truth.
func (c *call) told(who string, r history.Resolve, service string) error {
	if r.Err != "" {
		c.say("%s is told nothing: %s", who, c.nb.clean(r.Err))
		return nil
	}
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
