package scenarios

import (
	"context"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness"
	"ghostroute/harness/gateway"
	"ghostroute/harness/history"
	"ghostroute/harness/proxy"
)

// The words that scenarios share: what an operator does past the instances.

// ops is the operator's client: at the balancer, where there is one.
func (t *Trial) ops() (*clientv3.Client, error) { return t.Client(t.ctx, "ops") }

// wrote records a write of the operator's.
func (t *Trial) wrote(w history.Write, err error) error {
	if err != nil {
		w.Err = err.Error()
	}
	t.History.Add(history.Event{Who: "ops", Write: &w})
	if err != nil {
		return fmt.Errorf("ops: %s %s: %w", w.Op, w.Key, err)
	}
	return nil
}

// txn commits a transaction of these operations.
func (t *Trial) txn(ops ...clientv3.Op) error {
	c, err := t.ops()
	if err != nil {
		return err
	}
	w := history.Write{Began: t.History.Now(), Via: t.PinnedTo("ops"), Op: "txn", Key: t.ServicePrefix()}
	r, err := c.Txn(t.ctx).Then(ops...).Commit()
	if err == nil {
		w.Revision = r.Header.Revision
	}
	return t.wrote(w, err)
}

// deleteDirect deletes a key on a member.
func (t *Trial) deleteDirect(key string) error {
	return t.Delete(t.ctx, "ops", "", t.Cluster.Client(), key)
}

// revoke revokes the lease of an instance through the operator's connection.
func (t *Trial) revoke(id string) error {
	r, err := t.Cluster.Truth(t.ctx, t.ServiceKey(id))
	if err != nil {
		return err
	}
	if len(r.Kvs) != 1 || r.Kvs[0].Lease == 0 {
		return fmt.Errorf("%s has no lease to revoke", id)
	}
	c, err := t.ops()
	if err != nil {
		return err
	}
	w := history.Write{Began: t.History.Now(), Via: t.PinnedTo("ops"), Op: "revoke", Key: t.ServiceKey(id), Lease: r.Kvs[0].Lease}
	v, err := c.Revoke(t.ctx, clientv3.LeaseID(w.Lease))
	if err == nil {
		w.Revision = v.Header.Revision
	}
	return t.wrote(w, err)
}

// expire waits until the lease of an instance has ended. What makes the schedule the worst for a fix whose entries age is done as late as
// can be: shortly before the lease, by its own clock, may end.
func (t *Trial) expire(id string) error {
	if t.Fix.Ages {
		put, err := t.History.Wait(t.ctx, 0, func(e history.Event) bool {
			return e.Write != nil && e.Who == id && e.Write.Op == "put"
		})
		if err != nil {
			return err
		}
		select {
		case <-t.ctx.Done():
		case <-time.After(put.Write.Began + leaseTTL - 100*time.Millisecond - t.History.Now()):
		}
		if _, err := t.Fix.Worst(t); err != nil {
			return err
		}
	}
	_, err := t.WaitGone(t.ctx, id)
	return err
}

// withheld makes a read or a write at a proxy stand at a gate while meanwhile happens, and lets it go.
func (t *Trial) withheld(p string, hold proxy.Hold, start func() error, meanwhile func() error) error {
	if t.Topology.Direct || t.Topology.Variant.Relays {
		if err := meanwhile(); err != nil {
			return err
		}
		return start()
	}
	gate := t.Proxy(p).Hold(hold)
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

// cut cuts a proxy off from every member, its established connections too.
func (t *Trial) cut(p string) error {
	for _, m := range t.Cluster.Members {
		if l := t.Proxy(p).Link(m.Name); l != nil {
			if err := l.Cut(); err != nil {
				return err
			}
			t.Fault(history.Cut, history.Fire, l.Name(), "")
		}
	}
	return nil
}

// mend ends cut.
func (t *Trial) mend(p string) {
	for _, m := range t.Cluster.Members {
		if l := t.Proxy(p).Link(m.Name); l != nil {
			l.Mend()
			t.Fault(history.Cut, history.End, l.Name(), "")
		}
	}
}

// through says where what a proxy does can be done when there may be none of it: its name, or "" for nothing to do.
func (t *Trial) through(p string) string {
	if t.Topology.Direct || t.Topology.Variant.Relays {
		return ""
	}
	return p
}

// deafen holds what the proxies' watches deliver to their clients, until hear is called: a go-micro gateway that hears of the change reads
// in the background, and what it reads would get in between what the scenario puts in order.
func (t *Trial) deafen() (hear func()) {
	var gates []*proxy.Gate
	held := t.Fix.Name == "watch" && !t.Scenario.Unheld // further up already
	if t.Topology.Reading == gateway.GoMicro && t.through("p1") != "" && !held {
		for _, p := range t.Proxies() {
			gates = append(gates, p.Hold(proxy.Hold{RPC: "Watch", Key: t.ServicePrefix(), Point: history.BeforeClient}))
		}
	}
	return func() {
		for _, g := range gates {
			// The change is acknowledged, so its event comes; a gate that let it by would have held nothing.
			_ = g.Caught(t.ctx)
			g.Release()
		}
	}
}

// delivered waits until a proxy that watches has heard of everything up to now.
func (t *Trial) delivered(p string) error {
	if !t.Topology.Variant.Watches {
		return nil
	}
	return t.deliveredTo(t.ctx, p)
}

// deliveredTo waits until a proxy has forgotten a key that it had cached and that has just been written on a member.
func (t *Trial) deliveredTo(ctx context.Context, p string) error {
	c, err := t.At(t.Proxy(p))
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
	return harness.Until(ctx, func() bool {
		rev, err := read()
		return err == nil && rev >= w.Header.Revision
	})
}
