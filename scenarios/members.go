package scenarios

import (
	"context"

	"ghostroute/harness"
	"ghostroute/harness/etcd"
)

// members: something happens to etcd itself.
func members() []Scenario {
	const theme = "members"
	return []Scenario{
		{
			Name: "lagging-member", Theme: theme, Title: "a lagging member's answer is cached",
			Seen:  "grpcproxy/kv.go: a serializable miss is answered by whichever member it meets, and kept",
			Text:  "There is one proxy. v1-a deregisters through it while a follower is cut off from its peers; the gateways' next read is answered by that follower. Then it is mended and catches up.",
			Needs: func(t *harness.Topology) { oneProxy(t); everyMember(t) },
			Act: func(t *Trial) error {
				defer t.deafen()()
				m := t.follower()
				if err := m.Cut(); err != nil {
					return err
				}
				defer m.Mend()
				err := t.narrow(others(t, m)...)
				if err != nil {
					return err
				}
				if t.through("p1") != "" {
					err = t.Deregister(t.ctx, "v1-a")
				} else { // whoever is connected to members may be connected to this one, and could not write
					err = t.deleteOn(t.Cluster, "v1-a")
				}
				if err != nil {
					return err
				}
				if err := t.narrow(m.Name); err != nil {
					return err
				}
				// A linearizable read cannot be answered by a member that is cut off; it is given up.
				ctx, cancel := context.WithTimeout(t.ctx, 3*cacheTTL)
				defer cancel()
				for _, g := range t.Gateways() {
					_ = t.reads(ctx, g)
				}
				if err := t.narrow(); err != nil {
					return err
				}
				if err := m.Mend(); err != nil {
					return err
				}
				return t.Cluster.WaitApplied(t.ctx, 0)
			},
		},
		{
			Name: "member-killed", Theme: theme, Title: "a member is killed and comes back",
			Seen:  "what the proxies were there for",
			Needs: everyMember,
			Text:  "A follower is killed, v1-a deregisters through p1, the follower is started again.",
			Act: func(t *Trial) error {
				m := t.follower()
				if err := m.Kill(); err != nil {
					return err
				}
				err := t.deregisterAgain("v1-a")
				if rerr := m.Restart(t.ctx); err == nil {
					err = rerr
				}
				return err
			},
		},
		{
			Name: "leader-moved", Theme: theme, Title: "the leader moves",
			Seen:  "every upgrade of etcd",
			Needs: everyMember,
			Text:  "The leadership moves to another member while v1-a deregisters through p1.",
			Act: func(t *Trial) error {
				if err := t.Cluster.MoveLeader(t.ctx, t.follower()); err != nil {
					return err
				}
				return t.Deregister(t.ctx, "v1-a")
			},
		},
	}
}

// everyMember lets the proxies, or clients without proxies, ask all members.
func everyMember(t *harness.Topology) { t.Upstream = nil }

// follower is a member that does not lead; it is nil only if the cluster has no leader, and then the next thing fails.
func (t *Trial) follower() *etcd.Member {
	lead, err := t.Cluster.Leader(t.ctx)
	if err != nil {
		return nil
	}
	for _, m := range t.Cluster.Members {
		if m != lead {
			return m
		}
	}
	return nil
}

func others(t *Trial, but *etcd.Member) []string {
	var names []string
	for _, m := range t.Cluster.Members {
		if m != but {
			names = append(names, m.Name)
		}
	}
	return names
}

// narrow lets every proxy ask only these members, none for all.
func (t *Trial) narrow(members ...string) error {
	for _, p := range t.Proxies() {
		if err := p.Narrow(members...); err != nil {
			return err
		}
	}
	return nil
}

// deleteOn has an instance crash and deletes its key on the leader.
func (t *Trial) deleteOn(c *etcd.Cluster, id string) error {
	if err := t.Instance(id).Crash(); err != nil {
		return err
	}
	lead, err := c.Leader(t.ctx)
	if err != nil {
		return err
	}
	return t.Delete(t.ctx, "ops", "", lead.Client(), t.ServiceKey(id))
}

// deregisterAgain has an instance deregister until it succeeds: a proxy's connection to a member that was killed fails one call, and
// nothing on the way tries again (etcdmain replaces the client's retry interceptor).
func (t *Trial) deregisterAgain(id string) error {
	i := t.Instance(id)
	var last error
	if err := harness.Until(t.ctx, func() bool { last = i.Deregister(t.ctx); return last == nil }); err != nil {
		return last
	}
	_ = i.Stop(t.ctx) // it deregisters once more, which may meet the next such connection: its key is gone already
	if t.Topology.Scatter {
		return t.Scatter(t.ctx, i.Key())
	}
	return nil
}
