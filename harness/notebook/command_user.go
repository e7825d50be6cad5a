package notebook

import (
	"context"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness"
)

func userCommand() Command {
	return Command{
		Name:    "user",
		Theme:   "Set up",
		Does:    "Tells etcd of a user, or takes a right or the user away again. Only on a bench with auth.",
		Example: "user eve may=nothing",
		Args: []Arg{
			{Name: "name", Kind: aText(), Says: "who"},
			{Name: "may", Kind: oneOf("read", "nothing"), Named: true, Optional: true, Says: "read is: the registry. nothing takes the right away from who had it"},
			{Name: "delete", Kind: aFlag(), Optional: true, Says: "the user ends"},
		},
		act: true,
		run: func(c *call) error {
			if !c.b().Topology.Auth {
				return c.wrong("this bench asks nobody who he is: begin with bench auth")
			}
			name := c.one("name")
			c.awaits("etcd to know what %s may do", name)
			if err := c.nb.setUser(c.ctx(), name, c.one("may"), c.has("delete")); err != nil {
				return err
			}
			if err := c.everyMemberKnows(); err != nil {
				return err
			}
			switch {
			case c.has("delete"):
				c.say("etcd knows no user %s any more", name)
			case c.nb.denied[name]:
				c.say("etcd knows %s, who may read nothing", name)
			default:
				c.say("etcd knows %s, who may read the registry", name)
			}
			return nil
		},
	}
}

// everyMemberKnows waits until each member has applied what any has. What changes a user is no revision, so that cannot be seen from
// outside; but a member that answers a linearizable read has caught up first.
func (c *call) everyMemberKnows() error {
	for _, m := range c.nb.memberNames() {
		conn, err := c.connect(m)
		if err != nil {
			return err
		}
		if _, err := conn.Get(c.ctx(), probePrefix, clientv3.WithCountOnly()); err != nil {
			return err
		}
	}
	return nil
}

// setUser brings about what etcd knows of a user.
func (nb *Notebook) setUser(ctx context.Context, name, may string, gone bool) error {
	root, err := nb.bench.Cluster.Dial(harness.Root, harness.Root)
	if err != nil {
		return err
	}
	_, known := nb.denied[name]
	switch {
	case gone:
		_, err = root.UserDelete(ctx, name)
		nb.denied[name] = true
	case may == "nothing" && known:
		_, err = root.UserRevokeRole(ctx, name, name+"-reads")
		nb.denied[name] = true
	case may == "nothing":
		_, err = root.UserAdd(ctx, name, name)
		nb.denied[name] = true
	case known:
		_, err = root.UserGrantRole(ctx, name, name+"-reads")
		nb.denied[name] = false
	default:
		err = nb.bench.User(ctx, name)
		nb.denied[name] = false
	}
	if err != nil {
		return fmt.Errorf("etcd did not change what it knows of %s: %w", name, err)
	}
	return root.Close()
}
