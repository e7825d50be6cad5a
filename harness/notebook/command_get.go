package notebook

import (
	"context"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"ghostroute/harness/history"
	"ghostroute/harness/keys"
	"ghostroute/harness/registry"
)

// patience is how long somebody waits for an answer to get, where etcd may have none: go-micro waits as long.
const patience = 5 * time.Second

func getCommand() Command {
	return Command{
		Name:  "get",
		Theme: "Look",
		Does: "Somebody reads etcd, as with etcdctl get --prefix: over the connection of a client, a gateway or an instance, or straight at a proxy or a member. " +
			"Linearizably, as etcdctl does, unless mode says otherwise. Beware: a linearizable read through a proxy changes what that proxy remembers.",
		Example: "get ops mode=serializable",
		Args: []Arg{
			{Name: "who", Kind: asker()},
			{Name: "mode", Kind: oneOf("linearizable", "serializable"), Named: true, Optional: true, Says: "linearizable if it is not said"},
			{Name: "service", Kind: aText(), Named: true, Optional: true, Says: "another service than the bench's"},
			{Name: "instance", Kind: anInstance(), Named: true, Optional: true, Says: "one instance's key only"},
			{Name: "key", Kind: aText(), Named: true, Optional: true, Says: "any one key"},
			{Name: "prefix", Kind: aText(), Named: true, Optional: true, Says: "every key that begins so"},
			{Name: "from", Kind: aText(), Named: true, Optional: true, Says: "every key from this one on"},
			{Name: "patience", Kind: aDuration(), Named: true, Optional: true, Says: "how long to wait for an answer"},
		},
		run: get,
	}
}

func get(c *call) error {
	who := c.one("who")
	conn, err := c.connect(who)
	if err != nil {
		return err
	}
	wait := c.duration("patience")
	if wait == 0 {
		wait = patience
	}
	req := c.readRequest()
	c.awaits("an answer to %s", who)
	ctx, cancel := context.WithTimeout(c.ctx(), wait)
	defer cancel()
	var md metadata.MD
	began := c.b().History.Now()
	resp, err := kv(conn).Range(ctx, req, grpc.Header(&md))
	late := ctx.Err() != nil
	r := history.Resolve{Began: began, Service: c.service(), Endpoints: []history.Endpoint{}}
	switch {
	case late && c.nb.ctx.Err() == nil:
		c.say("%s has no answer: nobody gave one as long as it waited", who)
		return nil
	case err != nil && c.nb.ctx.Err() == nil:
		c.say("%s is told nothing: %s", who, c.nb.clean(err.Error()))
		return nil
	case err != nil:
		return err
	}
	r.Via, r.Source = provenance(md)
	r.Revision = resp.Header.GetRevision()
	whole := string(req.Key) == keys.Service(r.Service) && len(req.RangeEnd) > 1
	for _, one := range resp.Kvs {
		if _, endpoints, derr := registry.Decode(one.Value); derr == nil {
			r.Endpoints = append(r.Endpoints, endpoints...)
			if !whole {
				for _, e := range endpoints {
					c.say("%s = %s, version %s, at the address of %s", one.Key, e.ID, e.Version, c.nb.clean(e.Address))
				}
			}
			continue
		}
		whole = false
		c.say("%s = %s", one.Key, one.Value)
	}
	if user := c.nb.users[who]; user != "" && c.nb.denied[user] && len(resp.Kvs) > 0 {
		c.say("%s is told %s", who, ids(r.Endpoints))
		c.say("LEAK %s  %s; truth is that %s may not read this", ids(r.Endpoints), c.nb.origin(r, 0), user)
		return nil
	}
	if whole {
		return c.told(who, r, r.Service)
	}
	c.say("%s is told %d %s  %s", who, len(resp.Kvs), plural(len(resp.Kvs), "key", "keys"), c.nb.origin(r, 0))
	return nil
}

// readRequest is the read that the arguments describe; GetService's if they describe none.
func (c *call) readRequest() *pb.RangeRequest {
	req := &pb.RangeRequest{Serializable: c.one("mode") == "serializable"}
	var op clientv3.Op
	switch {
	case c.has("instance"):
		op = clientv3.OpGet(keys.Node(c.service(), c.one("instance")))
	case c.has("key"):
		op = clientv3.OpGet(c.one("key"))
	case c.has("prefix"):
		op = clientv3.OpGet(c.one("prefix"), clientv3.WithPrefix())
	case c.has("from"):
		op = clientv3.OpGet(c.one("from"), clientv3.WithFromKey())
	default:
		op = clientv3.OpGet(keys.Service(c.service()), clientv3.WithPrefix())
	}
	req.Key, req.RangeEnd = op.KeyBytes(), op.RangeBytes()
	return req
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
