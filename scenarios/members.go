package scenarios

import (
	"context"
	"errors"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness"
	"ghostroute/harness/etcd"
	"ghostroute/harness/gateway"
	"ghostroute/harness/history"
	"ghostroute/harness/verdict"
	"ghostroute/harness/wait"
)

// members: something happens to etcd itself.
func members() []Scenario {
	const theme = "members"
	return []Scenario{
		{
			Proofs: always(verdict.Proof{Fault: history.CutPeer, At: "m"}),
			Name:   "lagging-member", Theme: theme, Title: "a lagging member's answer is cached",
			Seen: "grpcproxy/kv.go: a serializable miss is answered by whichever member it meets, and kept",
			Text: "There is one proxy. v1-a deregisters through it while a follower is cut off from its peers; the " +
				"gateways' next read is answered by that follower. Then it is mended and catches up.",
			Needs: func(t *harness.Topology) { oneProxy(t); everyMember(t) },
			Act: func(t *Trial) error {
				defer t.deafen()()
				m, err := t.Follower(t.ctx)
				if err != nil {
					return err
				}
				if err := t.CutOff(t.ctx, m.Name); err != nil {
					return err
				}
				defer t.Rejoin(t.ctx, m.Name)
				if err := t.narrow(t.others(m)...); err != nil {
					return err
				}
				if t.through() {
					err = t.Leave(t.ctx, "v1-a")
				} else { // a client of members may be connected to this one, and could not write
					err = t.crashed("v1-a", func() error { return t.onLeader(t.delete(t.ServiceKey("v1-a"))) })
				}
				if err != nil {
					return err
				}
				if err := t.narrow(m.Name); err != nil {
					return err
				}
				// A linearizable read cannot be answered by a member that is cut off; it is given up. go-micro's gateways
				// read when their copies lapse: at 3 of those lives, on a busy machine, none had.
				lives := time.Duration(5)
				if t.Topology.Reading == gateway.GoMicro {
					lives = 10
				}
				ctx, cancel := context.WithTimeout(t.ctx, lives*cacheTTL)
				defer cancel()
				for _, g := range t.Gateways() {
					_ = t.Read(ctx, g)
				}
				if err := t.narrow(t.everyMember()...); err != nil {
					return err
				}
				return t.Rejoin(t.ctx, m.Name)
			},
		},
		{
			Proofs: always(verdict.Proof{Fault: history.Kill, At: "m"}),
			Name:   "member-killed", Theme: theme, Title: "a member is killed and comes back",
			Seen:  "what the proxies were there for",
			Needs: everyMember,
			Text:  "A follower is killed, v1-a deregisters through p1, the follower is started again.",
			Act: func(t *Trial) error {
				m, err := t.Follower(t.ctx)
				if err != nil {
					return err
				}
				if err := t.Kill(m.Name); err != nil {
					return err
				}
				return errors.Join(t.deregisterAgain("v1-a"), t.RestartMember(t.ctx, m.Name))
			},
		},
		{
			Proofs: always(verdict.Proof{Fault: history.MoveLeader, At: "m"}),
			Name:   "leader-moved", Theme: theme, Title: "the leader moves",
			Seen:  "every upgrade of etcd",
			Needs: everyMember,
			Text:  "The leadership moves to another member while v1-a deregisters through p1.",
			Act: func(t *Trial) error {
				m, err := t.Follower(t.ctx)
				if err != nil {
					return err
				}
				if err := t.MoveLeader(t.ctx, m.Name); err != nil {
					return err
				}
				return t.Leave(t.ctx, "v1-a")
			},
		},
	}
}

// everyMember is the topology of a cluster of three, all of which the proxies, or clients without proxies, may ask.
func everyMember(t *harness.Topology) { t.Members = 3 }

func (t *Trial) everyMember() []string { return t.others(nil) }

func (t *Trial) others(but *etcd.Member) (names []string) {
	for _, m := range t.Cluster.Members {
		if m != but {
			names = append(names, m.Name)
		}
	}
	return names
}

// narrow has every proxy ask these members only.
func (t *Trial) narrow(members ...string) error {
	for _, p := range t.Proxies() {
		if err := t.Narrow(t.ctx, p.Name(), members...); err != nil {
			return err
		}
	}
	return nil
}

// onLeader does something with an operator's client at the leader.
func (t *Trial) onLeader(do func(*clientv3.Client) error) error {
	lead, err := t.Cluster.Leader(t.ctx)
	if err != nil {
		return err
	}
	return t.on(lead.Name, do)
}

// deregisterAgain has an instance deregister until it succeeds: a proxy's connection to a member that was killed fails
// one call, and nothing on the way tries again (etcdmain replaces the client's retry interceptor).
func (t *Trial) deregisterAgain(id string) error {
	i := t.Instance(id)
	err := wait.For(t.ctx, func() string {
		if err := i.Deregister(t.ctx); err != nil {
			return err.Error()
		}
		return ""
	})
	if err != nil {
		return err
	}
	_ = i.Stop(t.ctx) // it deregisters once more, which may meet the next such connection: its key is gone already
	if t.Topology.Scatter {
		return t.Scatter(t.ctx, i.Key())
	}
	return nil
}
