package notebook

import (
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"ghostroute/harness"
	"ghostroute/harness/conn"
	"ghostroute/harness/history"
	"ghostroute/harness/proxy"
	"ghostroute/harness/wait"
)

// connect is the connection of a gateway, an instance or a client, or one of the notebook's own straight to a proxy or a member. The bench
// closes it.
func (c *call) connect(who string) (*clientv3.Client, error) {
	b := c.b()
	c.awaits("the connection of %s", who)
	switch {
	case slices.Contains(c.nb.gatewayNames(), who):
		return b.Gateway(who).Registry().Client(), nil
	case slices.Contains(c.nb.instances, who):
		return b.Instance(who).Registry().Client(), nil
	case slices.Contains(c.nb.clients, who):
		return b.Client(c.ctx(), who)
	case slices.Contains(c.nb.memberNames(), who):
		m := b.Cluster.Member(who)
		if !b.Topology.Auth {
			return m.Client(), nil
		}
		if c.nb.roots[who] == nil {
			root, err := m.Dial(harness.Root, harness.Root)
			if err != nil {
				return nil, err
			}
			c.nb.roots[who] = root // the cluster closes it
		}
		return c.nb.roots[who], nil
	}
	client, err := b.At(c.ctx(), who)
	if err != nil {
		return nil, err
	}
	return client, conn.Ready(c.ctx(), client.ActiveConnection())
}

// proxyOf is the proxy that what a node asks passes, "" where there is none.
func (nb *Notebook) proxyOf(who string) string {
	if slices.Contains(nb.proxyNames(), who) {
		return who
	}
	return nb.bench.PinnedTo(who)
}

// way is how what a node asks reaches etcd.
func (nb *Notebook) way(who string) string {
	if slices.Contains(nb.memberNames(), who) {
		return "on " + who
	}
	if p := nb.proxyOf(who); p != "" {
		return "through " + p
	}
	return "on a member"
}

// provenance is where an answer came from, by its headers.
func provenance(md metadata.MD) (via string, source history.Source) {
	if p := md.Get(proxy.HeaderProxy); len(p) > 0 {
		via = p[0]
	}
	if s := md.Get(proxy.HeaderSource); len(s) > 0 {
		return via, history.Source(s[0])
	}
	return via, history.Member
}

// answer is etcd's answer to a write.
type answer interface{ GetHeader() *pb.ResponseHeader }

// sender makes a write, and has the answer's metadata put where the option says. It sends past the tap of a registry's client, for write
// records what it sends.
type sender func(*clientv3.Client, grpc.CallOption) (answer, error)

// write sends a write over a node's connection and records it, once.
func (c *call) write(who string, w history.Write, send sender) (history.Write, error) {
	client, err := c.connect(who)
	if err != nil {
		return w, err
	}
	c.awaits("etcd to acknowledge the %s", w.Op)
	w.Began, w.Via = c.b().History.Now(), c.nb.proxyOf(who)
	var md metadata.MD
	resp, err := send(client, grpc.Header(&md))
	if via, _ := provenance(md); via != "" {
		w.Via = via
	}
	switch {
	case err != nil:
		w.Err = err.Error()
	case resp != nil:
		w.Revision = resp.GetHeader().GetRevision()
	}
	if d, ok := resp.(*pb.DeleteRangeResponse); ok {
		w.Deleted = d.GetDeleted()
	}
	c.b().History.Add(history.Event{Who: who, Write: &w})
	return w, err
}

// alter is write for a change of keys: it says what became of them.
func (c *call) alter(w history.Write, did string, send sender) error {
	who := c.one("who")
	w, err := c.write(who, w, send)
	switch {
	case err != nil && c.ctx().Err() != nil:
		return err
	case err != nil:
		c.say("the %s of %s %s fails: %s", w.Op, rangeName(w.Key, w.End), c.nb.way(who), c.nb.clean(err.Error()))
		return nil
	}
	way := "on " + who
	if w.Via != "" {
		way = "through " + w.Via
	}
	c.say("%s is %s %s (revision %d)", rangeName(w.Key, w.End), did, way, c.nb.revision(w.Revision))
	return c.settle()
}

// disconnected waits until the balancer has noticed that a client's connection is gone.
func (c *call) disconnected(client string) error {
	c.awaits("the balancer to notice that %s has gone", client)
	return wait.Until(c.ctx(), client+" is still connected", func() bool { return c.b().PinnedTo(client) == "" })
}

// settle waits until every member has applied what any has, so that what is read next does not depend on which of them answers.
func (c *call) settle() error {
	c.awaits("etcd's members to agree")
	_, err := c.b().Settle(c.ctx())
	return err
}
