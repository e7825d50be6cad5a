package scenarios

import (
	"fmt"
	"sync"
	"time"

	"ghostroute/harness"
	"ghostroute/harness/gateway"
	"ghostroute/harness/history"
	"ghostroute/harness/link"
	"ghostroute/harness/registry"
)

// clients: it is the gateways that differ.
func clients() []Scenario {
	const theme = "clients"
	return []Scenario{
		{
			Name: "half-fixed-fleet", Theme: theme, Title: "one gateway reads linearizably, two do not",
			Seen:  "the incident: \"fewer errors, still errors\"",
			Text:  "g1 has the fix, g2 and g3 are not yet rolled out. v1-b deregisters through p2.",
			Needs: func(t *harness.Topology) { t.Modes = []registry.Mode{registry.LinearizableGet} },
			Act:   func(t *Trial) error { return t.Deregister(t.ctx, "v1-b") },
		},
		{
			Name: "resurrection", Theme: theme, Title: "gone, and a minute later back",
			Seen: "the incident; go-micro registry/cache/cache.go: it follows a watch, then forgets by TTL and reads again",
			Text: "Every gateway's watch tells it that v1-a is gone, and everybody agrees. Then the memory of go-micro's cache lapses, and it asks the registry again.",
			Only: gateway.GoMicro,
			Act: func(t *Trial) error {
				began := t.History.Now()
				if err := t.Deregister(t.ctx, "v1-a"); err != nil {
					return err
				}
				return t.hearSince(began)
			},
		},
		{
			Name: "watch-cut", Theme: theme, Title: "gateways are cut off while an instance deregisters",
			Seen: "go-micro registry/cache/cache.go: a watch that broke begins again at now, and what it missed it missed",
			Text: "Every gateway loses its connection to the registry; v1-a deregisters; the connections come back.",
			Act: func(t *Trial) error {
				mend := t.cutGateways()
				defer mend()
				if err := t.Deregister(t.ctx, "v1-a"); err != nil {
					return err
				}
				mend()
				return t.reconnected()
			},
		},
		{
			Name: "watch-lost", Theme: theme, Title: "a gateway's watch misses that the only instance left",
			Seen:   "go-micro registry/cache/cache.go: a broken watch begins again at now; and on any error, not-found included, the expired copy is kept",
			Text:   "The service has one instance. Every gateway loses its connection; the instance deregisters; etcd is compacted, so that the watch cannot be taken up where it broke; the connections come back.",
			Only:   gateway.GoMicro,
			Needs:  func(t *harness.Topology) { t.Instances = []string{"v1-a"} },
			Unheld: true, // the event is never delivered
			Act: func(t *Trial) error {
				mend := t.cutGateways()
				defer mend()
				if err := t.Deregister(t.ctx, "v1-a"); err != nil {
					return err
				}
				if err := t.bump(); err != nil { // what is compacted must be past
					return err
				}
				if err := t.Cluster.Members[0].Compact(t.ctx, 0); err != nil {
					return err
				}
				mend()
				return t.reconnected()
			},
		},
	}
}

// cutGateways cuts every gateway off from the registry, its established connections too, until mend is called.
func (t *Trial) cutGateways() (mend func()) {
	var links []*link.Link
	for _, g := range t.Gateways() {
		links = append(links, t.Links(g.Name())...)
	}
	for _, l := range links {
		_ = l.Cut()
		t.Fault(history.Cut, history.Fire, l.Name(), "")
	}
	return sync.OnceFunc(func() {
		for _, l := range links {
			l.Mend()
			t.Fault(history.Cut, history.End, l.Name(), "")
		}
	})
}

// hear waits until every go-micro gateway has heard of the change by its watch, and agrees; or has read the registry since, because its
// memory lapsed or was emptied, whatever it was told.
func (t *Trial) hear() error { return t.hearSince(t.History.Now()) }

func (t *Trial) hearSince(since time.Duration) error {
	if t.Topology.Reading != gateway.GoMicro {
		return nil
	}
	truth, err := t.Settle(t.ctx)
	if err != nil {
		return err
	}
	for _, g := range t.Gateways() {
		err := harness.Until(t.ctx, func() bool {
			agrees := harness.Agrees(g.Resolve(t.ctx, t.Topology.Service), truth)
			read, ok := g.Registry().LastRead(t.Topology.Service)
			return agrees || ok && read.Began > since
		})
		if err != nil {
			return fmt.Errorf("%s never heard of the change: %w", g.Name(), err)
		}
	}
	return nil
}
