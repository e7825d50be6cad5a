package scenarios

import (
	"context"
	"fmt"
	"slices"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness/gateway"
	"ghostroute/harness/history"
	"ghostroute/harness/keys"
	"ghostroute/harness/proxy"
	"ghostroute/harness/trial"
	"ghostroute/harness/wait"
)

// withheld has a read or a write stand at a gate of a proxy while meanwhile happens, and releases it. Where no proxy
// can hold it, meanwhile happens first.
func (t *Trial) withheld(p string, hold proxy.Hold, start func() error, meanwhile func() error) error {
	if !t.through() {
		if err := meanwhile(); err != nil {
			return err
		}
		return start()
	}
	gate := t.Hold(p, hold)
	defer gate.Release()
	done := make(chan error, 1)
	go func() { done <- start() }()
	if err := gate.Caught(t.ctx); err != nil {
		return err
	}
	if err := meanwhile(); err != nil {
		return err
	}
	gate.Release()
	return <-done
}

// holdEvents holds, at every proxy, the events of the service that its watches deliver, until release is called.
func (t *Trial) holdEvents(at history.Point) (release func()) {
	var gates []*proxy.Gate
	for _, p := range t.Proxies() {
		gates = append(gates, p.Hold(proxy.Hold{RPC: "Watch", Key: t.ServicePrefix(), Point: at}))
	}
	t.held = gates
	return func() {
		t.met(gates)
		for _, g := range gates {
			g.Release()
		}
	}
}

// met waits until an event stands at each of these gates. The change is acknowledged, so its event comes, but for a
// watch that broke off and was begun anew from the present. If none came, the judge says that nothing was held.
func (t *Trial) met(gates []*proxy.Gate) {
	_ = t.within(func(ctx context.Context) error {
		for _, g := range gates {
			_ = g.Caught(ctx)
		}
		return nil
	})
}

// tell has gateways that live by their watch be told of what was done so far, and holds what comes after it: what they
// are told between two events is then no matter of when they are looked at.
func (t *Trial) tell() error {
	if !t.holdsClients() {
		return nil
	}
	t.met(t.held)
	for _, g := range t.held {
		g.Next()
	}
	truth, err := t.Truth(t.ctx)
	if err != nil {
		return err
	}
	err = t.within(func(ctx context.Context) error {
		for _, g := range t.Gateways() {
			if err := wait.Until(ctx, g.Name()+" was not told", func() bool {
				return g.Resolve(ctx, t.Topology.Service).Agrees(truth)
			}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return &trial.Late{What: err.Error()}
	}
	return nil
}

// worst makes the schedule the worst for what the topology does, whatever its fix is called: what would heal it by
// itself is held, and entries that age are as young as can be.
func (t *Trial) worst() (release func(), err error) {
	switch {
	case t.Topology.Direct:
		return nil, nil
	case t.holdsClients():
		return t.holdEvents(history.BeforeClient), nil
	case t.Topology.Scrub > 0:
		release = t.holdScrub()
		if t.Topology.Evict { // what has just been evicted misleads nobody
			return release, t.refill()
		}
		return release, nil
	case t.watch():
		if release, err = t.holdWatches(); err != nil {
			return nil, err
		}
	}
	if t.Topology.Variant.Age > 0 {
		return release, t.refill()
	}
	return release, nil
}

// holdsClients says whether what proxies deliver to clients is held: what gateways that do not read again live by.
func (t *Trial) holdsClients() bool {
	return !t.Topology.Library.Reads() && t.through() && !t.Scenario.Unheld && !t.Scenario.Unchanged
}

// refill makes every proxy's entries as young as they can be, and has it have them. One that keeps nothing just then,
// as while its own watch does not stand, misleads nobody, and the trial says nothing.
func (t *Trial) refill() error {
	t.filled = t.History.Now()
	if err := t.ScrubOnce(t.ctx); err != nil || t.Topology.Auth { // what is asked with a token may not be kept
		return err
	}
	prefix := t.ServicePrefix()
	read := &pb.RangeRequest{Key: []byte(prefix), RangeEnd: []byte(keys.PrefixEnd(prefix)), Serializable: true}
	for _, p := range t.Proxies() {
		if p.Peek(t.ctx, read) == nil {
			return &trial.Late{What: p.Name() + " does not keep what it was just asked for"}
		}
	}
	return nil
}

// inTime says whether entries that age were read before they could expire: what counts of a gateway is when it asked
// the registry last.
func (t *Trial) inTime() error {
	age := t.Topology.Variant.Misleads()
	for _, g := range t.Gateways() {
		read, ok := g.Registry().LastRead(t.Topology.Service)
		if old := read.Began - t.filled; age > 0 && ok && old > age {
			return &trial.Late{What: fmt.Sprintf("%s first read the proxies' entries when they were %s old, and they mislead "+
				"for %s", g.Name(), old.Round(time.Millisecond), age)}
		}
	}
	return nil
}

// watch says whether the proxies watch the registry of their own accord.
func (t *Trial) watch() bool {
	return slices.ContainsFunc(t.Proxies(), func(p *proxy.Proxy) bool { return p.Watches() })
}

// holdWatches holds what every proxy's own watch delivers.
func (t *Trial) holdWatches() (func(), error) {
	if t.Scenario.Unheld {
		return nil, nil
	}
	release := t.holdEvents(history.AfterMember)
	return func() {
		release()
		_ = t.within(func(ctx context.Context) error { // that it did not is for the gateways' answers to show
			for _, p := range t.Proxies() {
				if err := t.delivered(ctx, p.Name()); err != nil {
					return err
				}
			}
			return nil
		})
	}, nil
}

// deafen holds what the proxies' watches deliver to their clients, until hear is called: a go-micro gateway that hears
// of the change reads in the background, and what it reads would come between what the scenario puts in order.
func (t *Trial) deafen() (hear func()) {
	further := t.watch() && !t.Scenario.Unheld // it is held further up already
	if t.Topology.Reading != gateway.GoMicro || !t.through() || further || t.holdsClients() {
		return func() {}
	}
	return t.holdEvents(history.BeforeClient)
}

// holdScrub holds the scrubber back until it is released, and then waits until it has been everywhere.
func (t *Trial) holdScrub() (release func()) {
	held := t.HoldScrub()
	return func() {
		held()
		t.late = t.within(t.Scrubbed)
	}
}

// within gives what was released a while to happen.
func (t *Trial) within(f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(t.ctx, trial.Reconnecting)
	defer cancel()
	return f(ctx)
}

// delivered waits until a proxy that watches has cleared a key that it had cached and that has just been written on a
// member; others it does not wait for.
func (t *Trial) delivered(ctx context.Context, p string) error {
	if !t.watch() {
		return nil
	}
	c, err := t.At(ctx, p)
	if err != nil {
		return err
	}
	read := func() (int64, error) {
		r, err := c.Get(ctx, "/marker", clientv3.WithSerializable())
		if err != nil || len(r.Kvs) == 0 {
			return 0, err
		}
		return r.Kvs[0].ModRevision, nil
	}
	if _, err := read(); err != nil {
		return err
	}
	w, err := t.Cluster.Client().Put(ctx, "/marker", "")
	if err != nil {
		return err
	}
	return wait.Until(ctx, p+" never heard of a write", func() bool {
		rev, err := read()
		return err == nil && rev >= w.Header.Revision
	})
}
