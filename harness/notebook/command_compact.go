package notebook

import (
	"slices"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
)

func compactCommand() Command {
	return Command{
		Name:    "compact",
		Theme:   "Change",
		Does:    "etcd forgets what was before the revision it is at. Asked through a proxy, or on a member.",
		Example: "compact p1",
		Args:    []Arg{{Name: "who", Kind: asker()}},
		act:     true,
		run: func(c *call) error {
			who := c.one("who")
			truth, err := c.b().Settle(c.ctx())
			if err != nil {
				return err
			}
			c.awaits("etcd to forget what was before revision %d", c.nb.revision(truth.Revision))
			if slices.Contains(c.nb.memberNames(), who) {
				err = c.b().Cluster.Member(who).Compact(c.ctx(), truth.Revision)
			} else {
				var conn *clientv3.Client
				if conn, err = c.connect(who); err == nil {
					_, err = conn.Compact(c.ctx(), truth.Revision, clientv3.WithCompactPhysical())
				}
			}
			if err != nil && strings.Contains(err.Error(), "has been compacted") {
				c.say("etcd has forgotten what was before revision %d already", c.nb.revision(truth.Revision))
				return nil
			}
			if err != nil {
				return err
			}
			c.say("etcd forgets what was before revision %d, asked %s", c.nb.revision(truth.Revision), c.nb.way(who))
			return nil
		},
	}
}
