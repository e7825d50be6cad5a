package notebook

import (
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness/history"
)

func revokeCommand() Command {
	return Command{
		Name:    "revoke",
		Theme:   "Change",
		Does:    "Somebody ends the lease of an instance at once, and etcd deletes its key: what a lease that runs out does, without the wait.",
		Example: "revoke p1 v1-a",
		Args: []Arg{
			{Name: "who", Kind: asker()},
			{Name: "instance", Kind: anInstance()},
		},
		act: true,
		run: func(c *call) error {
			who, id := c.one("who"), c.one("instance")
			c.nb.left(id)
			c.awaits("the lease of %s, from a member", id)
			kv, err := c.b().Cluster.Truth(c.ctx(), c.b().Instance(id).Key())
			if err != nil {
				return err
			}
			if len(kv.Kvs) == 0 || kv.Kvs[0].Lease == 0 {
				return fmt.Errorf("%s has no lease in etcd to revoke", id)
			}
			conn, err := c.connect(who)
			if err != nil {
				return err
			}
			c.awaits("etcd to end the lease of %s", id)
			w := history.Write{Began: c.b().History.Now(), Op: "revoke", Lease: kv.Kvs[0].Lease}
			r, err := conn.Revoke(c.ctx(), clientv3.LeaseID(w.Lease))
			if err != nil {
				return err
			}
			w.Revision = r.Header.Revision
			c.b().History.Add(history.Event{Who: who, Write: &w})
			c.say("the lease of %s is revoked %s: etcd deletes its key (revision %d)", id, c.nb.way(who), c.nb.revision(w.Revision))
			return c.settle()
		},
	}
}

// way is how what somebody asks reaches etcd.
func (nb *Notebook) way(who string) string {
	for _, m := range nb.memberNames() {
		if m == who {
			return "on " + m
		}
	}
	for _, p := range nb.proxyNames() {
		if p == who {
			return "through " + p
		}
	}
	if p := nb.bench.PinnedTo(who); p != "" {
		return "through " + p
	}
	return "on a member"
}
