package scenarios

import (
	"context"
	"time"

	"ghostroute/harness"
)

// proxies: something happens to the proxies or the balancer.
func proxies() []Scenario {
	const theme = "proxies"
	two := func(t *harness.Topology) { t.Proxies = 2 }
	return []Scenario{
		{
			Name: "proxy-cut-off", Theme: theme, Title: "a proxy is cut off from etcd and comes back",
			Seen:  "grpcproxy/kv.go: a hit asks nobody",
			Text:  "p2 loses every member. v1-a deregisters through p1; then p2 has its members back.",
			Needs: two,
			Act: func(t *Trial) error {
				if t.through("p2") == "" {
					return t.Deregister(t.ctx, "v1-a")
				}
				if err := t.cut("p2"); err != nil {
					return err
				}
				defer t.mend("p2")
				if err := t.Deregister(t.ctx, "v1-a"); err != nil {
					return err
				}
				t.mend("p2")
				c, err := t.At(t.Proxy("p2"))
				if err != nil {
					return err
				}
				return harness.Until(t.ctx, func() bool { // by a read of something else: p2 has its members back
					ctx, cancel := context.WithTimeout(t.ctx, time.Second)
					defer cancel()
					_, err := c.Get(ctx, "/reachable")
					return err == nil
				})
			},
		},
		{
			Name: "proxy-restarted", Theme: theme, Title: "a stale proxy is restarted",
			Seen:  "the incident's first aid",
			Text:  "v1-a deregisters through p1. p2 is seen to be stale, and is restarted: its cache is empty.",
			Needs: two,
			Act:   func(t *Trial) error { return t.Deregister(t.ctx, "v1-a") },
			After: func(t *Trial) error {
				if t.Topology.Direct {
					return nil
				}
				if err := t.Proxy("p2").Restart(t.ctx); err != nil {
					return err
				}
				return t.reconnected()
			},
		},
		{
			Name: "proxy-drained", Theme: theme, Title: "the balancer drains a stale proxy",
			Seen: "the incident's second aid, done to one proxy of three",
			Text: "v1-a deregisters through p1. p2 is given weight 0 and its connections are closed: its clients move on, to p1 or to p3.",
			Act:  func(t *Trial) error { return t.Deregister(t.ctx, "v1-a") },
			After: func(t *Trial) error {
				if t.Topology.Direct {
					return nil
				}
				if err := t.Balancer.SetWeights(map[string]int{"p2": 0}); err != nil {
					return err
				}
				for client, at := range t.Balancer.Pinned() {
					if len(at) == 1 && at[0] == "p2" {
						if err := t.Reconnect(t.ctx, client); err != nil {
							return err
						}
					}
				}
				return nil
			},
		},
	}
}
