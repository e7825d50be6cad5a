package notebook

import (
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness/wait"
)

// connect is the connection of a gateway, an instance or a client, or an operator's straight to a proxy or a member.
// The bench closes it.
func (c *call) connect(who string) (*clientv3.Client, error) {
	switch c.nb.kindOf(who) {
	case "gateway":
		return c.b().Gateway(who).Registry().Client(), nil
	case "instance":
		return c.b().Instance(who).Registry().Client(), nil
	case "client":
		return c.b().Client(c.ctx(), who)
	}
	return c.b().At(c.ctx(), who)
}

// way is how what a node asks reaches etcd.
func (nb *Notebook) way(who string) string {
	p := nb.bench.PinnedTo(who)
	switch kind := nb.kindOf(who); {
	case kind == "member":
		return "on " + who
	case kind == "proxy":
		return "through " + who
	case p != "":
		return "through " + p
	}
	return "on a member"
}

// fails says that what a command does failed. It is an error only where the notebook's context ended it.
func (c *call) fails(err error, format string, args ...any) error {
	if c.ctx().Err() != nil {
		return err
	}
	c.say("%s: %s", fmt.Sprintf(format, args...), c.nb.clean(err.Error()))
	return nil
}

// disconnected waits until the balancer has noticed that a client's connection is gone.
func (c *call) disconnected(client string) error {
	return wait.Until(c.ctx(), client+" is still connected", func() bool { return c.b().PinnedTo(client) == "" })
}

// caughtUp waits until every member has applied what any has, so that what is read next does not depend on
// which of them answers.
func (c *call) caughtUp() error {
	_, err := c.b().Truth(c.ctx())
	return err
}
