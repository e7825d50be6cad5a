package scenarios

import (
	"errors"
	"time"

	"ghostroute/harness"
	"ghostroute/harness/gateway"
	"ghostroute/harness/history"
	"ghostroute/harness/registry"
	"ghostroute/harness/verdict"
	"ghostroute/harness/wait"
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
			Act:   func(t *Trial) error { return t.Leave(t.ctx, "v1-b") },
		},
		{
			Name: "resurrection", Theme: theme, Title: "gone, and a minute later back",
			Seen: "the incident; go-micro registry/cache/cache.go: it follows a watch, then forgets by TTL and reads again",
			Text: "Every gateway's watch tells it that v1-a is gone, and every gateway agrees. Then the copy in go-micro's " +
				"cache lapses, and it asks the registry again.",
			Only: gateway.GoMicro,
			Act: func(t *Trial) error {
				began := t.History.Now()
				if err := t.Leave(t.ctx, "v1-a"); err != nil {
					return err
				}
				return t.hearSince(began)
			},
		},
		{
			Proofs: always(verdict.Proof{Fault: history.Cut, At: "g"}),
			Name:   "watch-cut", Theme: theme, Title: "gateways are cut off while an instance deregisters",
			Seen: "go-micro registry/cache/cache.go: a watch that broke begins again at now, and what it missed it missed",
			Text: "Every gateway loses its connection to the registry; v1-a deregisters; the connections come back.",
			Act: func(t *Trial) error {
				return t.cutOffGateways(func() error { return t.Leave(t.ctx, "v1-a") })
			},
		},
		{
			Proofs: always(verdict.Proof{Fault: history.Cut, At: "g"}, verdict.Proof{Write: "compact", At: "m1"}),
			Name:   "watch-lost", Theme: theme, Title: "a gateway's watch misses that the only instance left",
			Seen: "go-micro registry/cache/cache.go: a broken watch begins again at now; and on any error, not-found " +
				"included, the expired copy is kept",
			Text: "The service has one instance. Every gateway loses its connection; the instance deregisters; etcd is " +
				"compacted, so that the watch cannot be taken up where it broke; the connections come back.",
			Only:   gateway.GoMicro,
			Needs:  func(t *harness.Topology) { t.Instances = []string{"v1-a"} },
			Unheld: true, // the event is never delivered
			Act: func(t *Trial) error {
				return t.cutOffGateways(func() error {
					if err := t.Leave(t.ctx, "v1-a"); err != nil {
						return err
					}
					return t.compact("m1") // which no watch can be taken up behind
				})
			},
		},
	}
}

// cutOffGateways cuts every gateway off from the registry, its established connections too, while f runs, and waits
// until each is connected again.
func (t *Trial) cutOffGateways(f func() error) error {
	for _, g := range t.Gateways() {
		if err := t.Cut(t.ctx, g.Name()); err != nil {
			return err
		}
	}
	err := f()
	for _, g := range t.Gateways() {
		err = errors.Join(err, t.Mend(t.ctx, g.Name()))
	}
	return errors.Join(err, t.Connected(t.ctx))
}

// hear waits until every go-micro gateway has heard of the change by its watch, and agrees; or has read the registry
// since, because its memory lapsed or was emptied, whatever it was told.
func (t *Trial) hear() error { return t.hearSince(t.History.Now()) }

func (t *Trial) hearSince(since time.Duration) error {
	if t.Topology.Reading != gateway.GoMicro || t.holdsClients() {
		return nil
	}
	truth, err := t.Truth(t.ctx)
	if err != nil {
		return err
	}
	for _, g := range t.Gateways() {
		err := wait.Until(t.ctx, g.Name()+" never heard of the change", func() bool {
			agrees := g.Resolve(t.ctx, t.Topology.Service).Agrees(truth)
			read, ok := g.Registry().LastRead(t.Topology.Service)
			return agrees || ok && read.Began > since
		})
		if err != nil {
			return err
		}
	}
	return nil
}
