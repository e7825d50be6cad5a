package notebook

import (
	"context"
	"fmt"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"ghostroute/harness"
	"ghostroute/harness/proxy"
)

func narrowCommand() Command {
	return Command{
		Name:    "narrow",
		Theme:   "Connections",
		Does:    "Lets a proxy ask only these members from now on; with no member, every one again. etcd's proxies ask all of them in turn.",
		Example: "narrow p1 m3",
		Args: []Arg{
			{Name: "proxy", Kind: aProxy()},
			{Name: "member", Kind: aMember(), Optional: true, Many: true},
		},
		act: true,
		run: func(c *call) error {
			p, members := c.one("proxy"), c.all("member")
			if err := c.b().Proxy(p).Narrow(members...); err != nil {
				return err
			}
			if len(members) == 0 {
				c.say("%s asks every member again", p)
				return nil
			}
			if err := c.narrowed(p, members); err != nil {
				return err
			}
			c.say("%s asks %s only", p, list(members))
			return nil
		},
	}
}

// probePrefix is where narrow reads: no other key begins so, so what a proxy remembers of it matters to nobody.
const probePrefix = "/ghostroute/probe/"

// narrowed waits until a proxy asks nobody but these members: gRPC hears of a new list of addresses a moment after it was given. As many
// reads in a row as there are members must be answered by one of these, for a proxy asks them in turn. Each read is of another key, so
// that it is a miss, and serializable, so that a member that is cut off can answer.
func (c *call) narrowed(p string, members []string) error {
	conn, err := c.connect(p)
	if err != nil {
		return err
	}
	c.awaits("%s to ask %s only", p, list(members))
	var last error
	row := 0
	err = harness.Until(c.ctx(), func() bool {
		var by string
		by, last = c.probe(conn)
		if last == nil && slices.Contains(members, by) {
			row++
		} else {
			row = 0
		}
		return row > len(c.nb.memberNames())
	})
	if err != nil {
		return fmt.Errorf("%s does not ask %s only (%v): %w", p, list(members), last, err)
	}
	return nil
}

// probe reads a key that nobody ever read, and returns the member that answered.
func (c *call) probe(conn *clientv3.Client) (member string, err error) {
	c.nb.probes++
	ctx, cancel := context.WithTimeout(c.ctx(), patience)
	defer cancel()
	var md metadata.MD
	_, err = kv(conn).Range(ctx, &pb.RangeRequest{Key: fmt.Appendf(nil, "%s%d", probePrefix, c.nb.probes), Serializable: true}, grpc.Header(&md))
	if m := md.Get(proxy.HeaderMember); len(m) > 0 {
		member = m[0]
	}
	return member, err
}
