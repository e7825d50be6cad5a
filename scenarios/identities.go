package scenarios

import (
	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness"
	"ghostroute/harness/history"
	"ghostroute/harness/keys"
	"ghostroute/harness/stage"
	"ghostroute/harness/verdict"
)

// identities: authentication is on, and it matters who asks.
func identities() []Scenario {
	const theme = "identities"
	needs := func(t *harness.Topology) {
		oneProxy(t)
		t.Auth, t.Gateways, t.Users = true, 2, []string{"", mallory}
	}
	// A proxy has no user of its own (etcdmain/grpc_proxy.go has no flag for one), so what it does by itself is refused.
	na := func(f Fix) string {
		top := Topology(Scenario{}, f, "")
		if top.Evict {
			return "whoever may read files again what was evicted: what mallory is told is a matter of who came before her"
		}
		return top.Variant.NeedsUser
	}
	return []Scenario{
		{
			Proofs: func(top harness.Topology) []verdict.Proof {
				p := []verdict.Proof{{Write: "role", At: "m"}}
				if !top.Direct && !top.Variant.Relays {
					p = append(p, verdict.Proof{Fault: history.Restart, At: "p1"})
				}
				return p
			},
			Name: "identity-cached", Theme: theme, Title: "another identity is answered what was cached",
			Seen: "etcd issue 22065; PR 22112",
			Text: "mallory, who is g2, may no longer read, and the proxy has been restarted since, so it holds nothing of " +
				"hers. " +
				"g1, who is root, reads; then mallory asks for the same.",
			Needs: needs, NA: na, Unchanged: true, Unheld: true, Denied: []string{"g2"},
			Act: func(t *Trial) error {
				if err := t.forbid(); err != nil {
					return err
				}
				if t.through() {
					if err := t.restart(t.everyProxy()...); err != nil {
						return err
					}
				}
				return t.Read(t.ctx, t.Gateways()[0])
			},
		},
		{
			Proofs: always(verdict.Proof{Write: "role", At: "m"}),
			Name:   "permission-revoked", Theme: theme, Title: "a permission is revoked",
			Seen:  "etcd issue 22065",
			Text:  "mallory, who is g2, has read. Then an administrator takes her permission away, on a member.",
			Needs: needs, NA: na, Unchanged: true, Unheld: true, Denied: []string{"g2"},
			Act: func(t *Trial) error { return t.forbid() },
		},
		{
			Proofs: always(verdict.Proof{Write: "user-delete", At: "m"}),
			Name:   "user-deleted", Theme: theme, Title: "a user is deleted",
			Seen: "etcd issue 22065",
			Text: "mallory, who is g2, has read. Then an administrator deletes her, on a member; her connection and her " +
				"token are still there.",
			Needs: needs, NA: na, Unchanged: true, Unheld: true, Denied: []string{"g2"},
			Act: func(t *Trial) error {
				return t.Administer(t.ctx, "user-delete", func(c *clientv3.Client) error {
					_, err := c.UserDelete(t.ctx, mallory)
					return err
				})
			},
		},
	}
}

// mallory is the user who may read, until she may not.
const mallory = "mallory"

// forbid takes mallory's permission to read the registry away, on a member.
func (t *Trial) forbid() error {
	return t.Administer(t.ctx, "role", func(c *clientv3.Client) error {
		_, err := c.RoleRevokePermission(t.ctx, stage.RoleOf(mallory), keys.Registry,
			clientv3.GetPrefixRangeEnd(keys.Registry))
		return err
	})
}
