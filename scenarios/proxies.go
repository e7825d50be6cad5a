package scenarios

import (
	"ghostroute/harness"
	"ghostroute/harness/history"
	"ghostroute/harness/verdict"
)

// proxies: something happens to the proxies or the balancer.
func proxies() []Scenario {
	const theme = "proxies"
	two := func(t *harness.Topology) { t.Proxies = 2 }
	return []Scenario{
		{
			Where: AtRPC, Proofs: always(verdict.Proof{Fault: history.Cut, At: "p2→"}),
			Name: "proxy-cut-off", Theme: theme, Title: "a proxy is cut off from etcd and comes back",
			Seen:  "grpcproxy/kv.go: a hit asks no member",
			Text:  "p2 loses every member. v1-a deregisters through p1; then p2 has its members back.",
			Needs: two,
			Act: func(t *Trial) error {
				if err := t.Cut(t.ctx, "p2"); err != nil {
					return err
				}
				defer t.Mend(t.ctx, "p2")
				if err := t.Leave(t.ctx, "v1-a"); err != nil {
					return err
				}
				if err := t.Mend(t.ctx, "p2"); err != nil {
					return err
				}
				return t.Reached(t.ctx, "p2")
			},
		},
		{
			Where: AtProxy, Proofs: always(verdict.Proof{Fault: history.Restart, At: "p2"}),
			Name: "proxy-restarted", Theme: theme, Title: "a stale proxy is restarted",
			Seen:  "the incident's first aid",
			Text:  "v1-a deregisters through p1. p2 is seen to be stale, and is restarted: its cache is empty.",
			Needs: two,
			Act:   func(t *Trial) error { return t.Leave(t.ctx, "v1-a") },
			After: func(t *Trial) error { return t.restart("p2") },
		},
		{
			Where: AtProxy, Proofs: always(verdict.Proof{Conn: "weights", At: "p2 0"}),
			Name: "proxy-drained", Theme: theme, Title: "the balancer drains a stale proxy",
			Seen: "the incident's second aid, done to one proxy of three",
			Text: "v1-a deregisters through p1. p2 is given weight 0 and its connections are closed: its clients move on, to " +
				"p1 or to p3.",
			Act: func(t *Trial) error { return t.Leave(t.ctx, "v1-a") },
			After: func(t *Trial) error {
				return t.Inflict(func() error {
					if err := t.SetWeights(map[string]int{"p2": 0}); err != nil {
						return err
					}
					return t.movedOff(func(at []string) bool { return len(at) == 1 && at[0] == "p2" })
				})
			},
		},
		{
			Where: AtProxy, Proofs: always(verdict.Proof{Conn: "drain", At: "p1"}),
			Name: "moved-back", Theme: theme, Title: "clients that were cured are moved back to a stale proxy",
			Seen: "HAProxy's \"shutdown sessions server\", tried on two grpc-proxies of 3.4 and of 3.7",
			Text: "v1-a deregisters through p1. p2 is given weight 0 and its clients are moved to p1: each is right. " +
				"Later p2 has its weight back, and p1 is drained as p2 was: all are moved to p2, which has forgotten nothing.",
			Needs: two,
			Act:   func(t *Trial) error { return t.Leave(t.ctx, "v1-a") },
			After: func(t *Trial) error {
				return t.Inflict(func() error {
					if err := t.swap("p2", "p1"); err != nil {
						return err
					}
					t.Look(t.ctx, "g2") // is right, if its new proxy is
					return t.swap("p1", "p2")
				})
			},
		},
	}
}
