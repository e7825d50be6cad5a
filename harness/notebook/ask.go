package notebook

import (
	"fmt"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"ghostroute/harness"
	"ghostroute/harness/conn"
	"ghostroute/harness/history"
	"ghostroute/harness/proxy"
)

// kv is etcd's KV service over somebody's connection. A registry's own client is tapped; this is the same connection without the tap.
func kv(client *clientv3.Client) pb.KVClient { return clientv3.RetryKVClient(client) }

// connect is how somebody asks etcd: over the connection he has, or over one of the notebook's own, straight to a proxy or a member. The
// bench closes it.
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

// provenance reads whence an answer came out of its headers.
func provenance(md metadata.MD) (via string, source history.Source) {
	if p := md.Get(proxy.HeaderProxy); len(p) > 0 {
		via = p[0]
	}
	if s := md.Get(proxy.HeaderSource); len(s) > 0 {
		return via, history.Source(s[0])
	}
	return via, history.Member
}

// write sends a write over somebody's connection, writes it into the history and says what became of it.
func (c *call) write(who string, w history.Write, did string, send func(pb.KVClient, ...grpc.CallOption) (interface{ GetHeader() *pb.ResponseHeader }, error)) error {
	conn, err := c.connect(who)
	if err != nil {
		return err
	}
	c.awaits("etcd to acknowledge the %s", w.Op)
	w.Began = c.b().History.Now()
	var md metadata.MD
	resp, err := send(kv(conn), grpc.Header(&md))
	w.Via, _ = provenance(md)
	if err != nil {
		w.Err = err.Error()
	} else {
		w.Revision = resp.GetHeader().GetRevision()
		if d, ok := resp.(*pb.DeleteRangeResponse); ok {
			w.Deleted = d.Deleted
		}
	}
	c.b().History.Add(history.Event{Who: who, Write: &w})
	if c.nb.ctx.Err() != nil {
		return err
	}
	way := "on " + who
	if w.Via != "" {
		way = fmt.Sprintf("through %s", w.Via)
	}
	if err != nil {
		c.say("%s is not %s %s: %s", rangeName(w.Key, w.End), did, way, c.nb.clean(err.Error()))
		return nil
	}
	c.say("%s is %s %s (revision %d)", rangeName(w.Key, w.End), did, way, c.nb.revision(w.Revision))
	return c.settle()
}
