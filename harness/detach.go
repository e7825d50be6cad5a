package harness

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness/keys"
	"ghostroute/harness/stage"
)

// Close ends what was started, takes away every key and every lease of the run, and has each proxy forget what it was
// told of them. It proves that: by a linearizable read on a member, by asking for each lease, and by a read through
// each proxy. Its error says what is left. It may be called again.
func (a *Attached) Close(ctx context.Context) error {
	if a.closed {
		return nil
	}
	a.closed = true
	var errs []error
	for _, f := range slices.Backward(a.end) {
		errs = append(errs, f())
	}
	errs = append(errs, a.clean(ctx), a.hangUp())
	return errors.Join(errs...)
}

// clean takes the run's keys and leases away.
func (a *Attached) clean(ctx context.Context) error {
	prefix := a.guard.Prefix()
	m, err := a.Client(ctx, "m1")
	if err != nil {
		return fmt.Errorf("what is under %s was not taken away: %w", prefix, err)
	}
	for _, id := range a.guard.Leases() {
		if ttl, err := m.TimeToLive(ctx, clientv3.LeaseID(id)); err == nil && ttl.TTL < 0 {
			continue // it has ended
		}
		if _, err := m.Revoke(ctx, clientv3.LeaseID(id)); err != nil {
			return fmt.Errorf("the lease %x was not revoked: %w", id, err)
		}
	}
	if _, err := m.Delete(ctx, prefix, clientv3.WithPrefix()); err != nil {
		return fmt.Errorf("what is under %s was not deleted: %w", prefix, err)
	}
	if err := a.settle(ctx); err != nil {
		return err
	}
	for _, node := range a.proxies() {
		if err := a.forget(ctx, node, prefix); err != nil {
			return fmt.Errorf("%s was not made to forget %s: %w", node, prefix, err)
		}
	}
	return a.isClean(ctx, m)
}

// forget has a proxy forget the prefix, and asks it as the run's gateways did: what it still tells is an error. What
// that leaves there is forgotten, too.
func (a *Attached) forget(ctx context.Context, node, prefix string) error {
	c, err := a.Client(ctx, node)
	if err != nil {
		return err
	}
	if err := stage.Evicting(ctx, c, prefix); err != nil {
		return err
	}
	r, err := c.Get(ctx, keys.Service(a.Service), clientv3.WithPrefix(), clientv3.WithSerializable())
	if err != nil {
		return err
	}
	if len(r.Kvs) > 0 {
		return fmt.Errorf("it still tells of %s", keysOf(r))
	}
	return stage.Evicting(ctx, c, prefix)
}

// isClean asks a member what is left of the run.
func (a *Attached) isClean(ctx context.Context, m *clientv3.Client) error {
	r, err := m.Get(ctx, a.guard.Prefix(), clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		return err
	}
	if r.Count > 0 {
		return fmt.Errorf("keys of this run are left: %s", keysOf(r))
	}
	for _, id := range a.guard.Leases() {
		ttl, err := m.TimeToLive(ctx, clientv3.LeaseID(id))
		if err != nil {
			return err
		}
		if ttl.TTL >= 0 {
			return fmt.Errorf("the lease %x of this run is left, of %d s", id, ttl.TTL)
		}
	}
	return nil
}

func keysOf(r *clientv3.GetResponse) string {
	var all []string
	for _, kv := range r.Kvs {
		all = append(all, string(kv.Key))
	}
	return strings.Join(all, ", ")
}

// ErrAttached is why a fault is refused.
var ErrAttached = errors.New("the cluster is somebody else's, and faults are made on a bench of one's own (see Start)")

func refused(what string) error { return fmt.Errorf("%s: %w", what, ErrAttached) }

// Cut is refused, and so are the other faults that a bench has: none of them is made on a cluster of somebody else's.
func (a *Attached) Cut(_ context.Context, node string, _ ...string) error {
	return refused(node + " is not cut off")
}

// Blackhole is refused, see Cut.
func (a *Attached) Blackhole(_ context.Context, node string, _ ...string) error {
	return refused("what is sent to " + node + " is not swallowed")
}

// Kill is refused, see Cut.
func (a *Attached) Kill(node string) error { return refused(node + " is not killed") }

// RestartProxy is refused, see Cut.
func (a *Attached) RestartProxy(_ context.Context, node string) error {
	return refused(node + " is not started again")
}

// MoveLeader is refused, see Cut.
func (a *Attached) MoveLeader(_ context.Context, to string) error {
	return refused(to + " is not made the leader")
}

// SetWeights is refused, see Cut.
func (a *Attached) SetWeights(map[string]int) error { return refused("no weight is changed") }

// Compact is refused, see Cut: it would take others' past away, and freeze proxies.
func (a *Attached) Compact(context.Context, int64) error { return refused("nothing is compacted") }

// EnableAuth is refused, see Cut.
func (a *Attached) EnableAuth(context.Context) error { return refused("authentication is not changed") }

// Scrub is refused, see Cut: proxies would forget what is others'.
func (a *Attached) Scrub(context.Context, stage.Scrubbing, ...string) error {
	return refused("no proxy is scrubbed")
}
