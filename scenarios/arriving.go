package scenarios

import (
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness"
	"ghostroute/harness/service"
)

// arriving: an instance comes, and is not named; or another comes in its place.
func arriving() []Scenario {
	const theme = "arriving"
	return []Scenario{
		{
			Name: "scale-up", Theme: theme, Title: "an instance registers through another proxy",
			Seen: "the incident, the other way round",
			Text: "v1-c registers. Put clears what it touches in the one cache it passes, and in no other.",
			Act: func(t *Trial) error {
				_, err := t.Register(t.ctx, "v1-c")
				return err
			},
		},
		{
			Name: "first-registration", Theme: theme, Title: "a service registers that was asked for before",
			Seen:  "grpcproxy/kv.go: an empty answer is an answer, and cached",
			Text:  "Every gateway has asked for a service that has no instance. Then v1-a registers through another proxy.",
			Needs: func(t *harness.Topology) { t.Instances = []string{} },
			Act: func(t *Trial) error {
				_, err := t.Register(t.ctx, "v1-a")
				return err
			},
		},
		{
			Name: "phantom-restart", Theme: theme, Title: "an instance restarts under its name through a stale proxy",
			Seen: "go-micro registry/etcd/etcd.go, registerNode: its lookup is serializable, and what it finds it need not " +
				"write",
			Text: "v1-a deregisters through p3 and starts again at once, under the same name, through p2, which still has " +
				"the old key. " +
				"go-micro renews the old lease, skips the Put, and Register returns nil.",
			Registered: []string{"v1-a"},
			Prepare: func(t *Trial) error {
				// v1-a has been restarted through p2 before, and p2 remembers the lookup; now it is connected to p3.
				return t.restartThrough("v1-a", "p2", "p3")
			},
			Act: func(t *Trial) error {
				if err := t.steer("p2"); err != nil {
					return err
				}
				// An operator has read the key through p2 just now, so that its entry is as young as can be.
				if !t.Topology.Direct && len(t.Proxies()) > 1 {
					err := t.on("p2", func(c *clientv3.Client) error {
						_, err := c.Get(t.ctx, t.ServiceKey("v1-a"))
						return err
					})
					if err != nil {
						return err
					}
				}
				if err := t.Instance("v1-a").Stop(t.ctx); err != nil {
					return err
				}
				if t.Topology.Scatter {
					if err := t.Scatter(t.ctx, t.ServiceKey("v1-a")); err != nil {
						return err
					}
				}
				if err := t.tell(); err != nil {
					return err
				}
				i, err := t.Restart(t.ctx, "v1-a")
				if err != nil {
					return err
				}
				if i.Err() != nil {
					return fmt.Errorf("go-micro's Register was to return nil: %w", i.Err())
				}
				return t.steer("")
			},
		},
		{
			Name: "reused-address", Theme: theme, Title: "another service gets the address of one that left",
			Seen: "any scheduler that gives ports out again",
			Text: "v1-a deregisters, and an instance of the service \"other\" is started at its address. A gateway that is " +
				"sent to the ghost gets 200, from a stranger.",
			Act: func(t *Trial) error {
				was := t.Instance("v1-a")
				if err := t.Leave(t.ctx, "v1-a"); err != nil {
					return err
				}
				_, err := t.Register(t.ctx, "v9-x", func(c *service.Config) { c.Service, c.Port = "other", was.Port() })
				return err
			},
		},
	}
}
