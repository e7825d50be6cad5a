package harness

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness/gateway"
	"ghostroute/harness/history"
	"ghostroute/harness/keys"
	"ghostroute/harness/registry"
	"ghostroute/harness/wait"
)

// Tell adds a sentence to the story.
func (b *Bench) Tell(format string, args ...any) {
	b.History.Add(history.Event{Who: "bench", Step: &history.Step{Text: fmt.Sprintf(format, args...)}})
}

// Phase begins a phase of a trial.
func (b *Bench) Phase(p history.Phase, format string, args ...any) {
	b.History.Add(history.Event{Who: "bench", Step: &history.Step{Phase: p, Text: fmt.Sprintf(format, args...)}})
}

// Truth reads the service linearizably on a member, past every proxy, once every connected member has applied what any
// of them has. It is recorded.
func (b *Bench) Truth(ctx context.Context) (history.Truth, error) {
	return b.TruthOf(ctx, b.Topology.Service)
}

// TruthOf is Truth for a service of that name.
func (b *Bench) TruthOf(ctx context.Context, name string) (history.Truth, error) {
	t := history.Truth{Service: name, Endpoints: []history.Endpoint{}}
	err := b.Cluster.WaitApplied(ctx, 0)
	var r *clientv3.GetResponse
	if err == nil {
		r, err = b.Cluster.Truth(ctx, keys.Service(name), clientv3.WithPrefix())
	}
	if err == nil {
		t.Revision = r.Header.Revision
		if t.Endpoints, err = endpoints(r.Kvs); err != nil {
			return t, err
		}
	} else {
		t.Err = err.Error()
	}
	b.History.Add(history.Event{Who: "truth", Truth: &t})
	return t, err
}

// endpoints are those that truth has, sorted by ID.
func endpoints(kvs []*mvccpb.KeyValue) ([]history.Endpoint, error) {
	all := []history.Endpoint{}
	for _, kv := range kvs {
		_, es, err := registry.Decode(kv.Value)
		if err != nil {
			return all, fmt.Errorf("truth has at %s what is no registration: %w", kv.Key, err)
		}
		all = append(all, es...)
	}
	slices.SortFunc(all, func(a, b history.Endpoint) int { return strings.Compare(a.ID, b.ID) })
	return all, nil
}

// Look has a gateway read the registry once and call each endpoint it is told.
func (b *Bench) Look(ctx context.Context, gateway string) (history.Resolve, []history.Request) {
	return b.Gateway(gateway).CallEach(ctx, b.Topology.Service)
}

// Prime has every gateway read once and waits until each sees truth: the premise of everything judged later. A go-micro
// gateway has then also begun to listen to the registry.
func (b *Bench) Prime(ctx context.Context) error {
	truth, err := b.Truth(ctx)
	if err != nil {
		return err
	}
	for _, g := range b.gateways {
		if err := prime(ctx, g, truth); err != nil {
			return err
		}
		if err := g.AwaitWatching(ctx); err != nil {
			return err
		}
	}
	return nil
}

// prime has a gateway read until it sees truth.
func prime(ctx context.Context, g *gateway.Gateway, truth history.Truth) error {
	return wait.For(ctx, func() string {
		last := g.Resolve(ctx, truth.Service)
		if last.Agrees(truth) {
			return ""
		}
		return fmt.Sprintf("%s never saw truth at the start: it was told %v (%s), truth at revision %d is %v",
			g.Name(), last.Endpoints, last.Err, truth.Revision, truth.Endpoints)
	})
}
