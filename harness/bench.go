package harness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness/etcd"
	"ghostroute/harness/gateway"
	"ghostroute/harness/history"
	"ghostroute/harness/keys"
	"ghostroute/harness/room"
	"ghostroute/harness/scratch"
	"ghostroute/harness/service"
	"ghostroute/harness/stage"
)

// Bench is one running copy of a topology: a stage with go-micro's instances and gateways on it. Its methods may be
// called from one goroutine at a time, those of its parts from many.
type Bench struct {
	*stage.Stage
	Topology Topology // as it was asked for, with its defaults
	Dir      string   // the artifact folder; what is in it outlives the bench

	gateways []*gateway.Gateway

	mu        sync.Mutex
	instances map[string]*service.Instance // by name: the latest of that name
	known     map[string]string            // address → instance, those that left too
}

// Option changes how a bench is started, not what it is.
type Option func(*options)

type options struct {
	cluster *etcd.Cluster
	dir     string
	follow  func(history.Event)
}

// On starts the bench on a cluster that is already running and stays so; its owner wipes it between benches
// (etcd.Cluster.Wipe).
func On(c *etcd.Cluster) Option { return func(o *options) { o.cluster = c } }

// Following has f called with every event as it happens, see history.History.Follow.
func Following(f func(history.Event)) Option { return func(o *options) { o.follow = f } }

// Start starts a bench for a test, which fails if it cannot, and ends it with the test. The history is saved as
// history.jsonl in the test's artifact folder; `go test -artifacts` keeps that.
func Start(t testing.TB, top Topology, opts ...Option) *Bench {
	t.Helper()
	ctx, cancel := Context(t)
	t.Cleanup(cancel)
	opts = append([]Option{func(o *options) { o.dir = t.ArtifactDir() }}, opts...)
	b, err := Open(ctx, top, opts...)
	if err != nil {
		t.Fatalf("the bench did not start: %v", err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("the bench did not end as it should: %v", err)
		}
		if t.Failed() {
			t.Logf("history: %s (kept with -artifacts)", filepath.Join(b.Dir, "history.jsonl"))
		}
	})
	return b
}

// Open starts a bench and returns when every part of it is ready: members have a leader and serve, proxies listen,
// instances are registered, gateways are connected. ctx bounds the start, not the bench's life. If it fails, nothing is
// left running.
func Open(ctx context.Context, top Topology, opts ...Option) (b *Bench, err error) {
	if err := top.Validate(); err != nil {
		return nil, err
	}
	var o options
	for _, f := range opts {
		f(&o)
	}
	b = &Bench{Topology: top.withDefaults(), Dir: o.dir, instances: map[string]*service.Instance{},
		known: map[string]string{}}
	h := history.New()
	if o.follow != nil {
		h.Follow(o.follow)
	}
	if err := b.startCluster(ctx, h, o.cluster); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	for _, step := range []func(context.Context) error{b.startProxies, b.startInstances, b.startGateways, b.startScrub} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, b.Close())
		}
	}
	return b, nil
}

// Close ends everything the bench started, in the opposite order, and saves the history. It may be called again.
func (b *Bench) Close() error {
	if b.Stage == nil {
		return nil
	}
	return errors.Join(b.Stage.Close(), b.Save())
}

// Save writes the history so far into the artifact folder; a bench without a folder keeps it in memory.
func (b *Bench) Save() error {
	if b.Dir == "" {
		return nil
	}
	err := room.Write(filepath.Join(b.Dir, "history.jsonl"), func(w io.Writer) error {
		_, err := b.History.WriteTo(w)
		return err
	})
	if err != nil {
		return fmt.Errorf("the history was not saved: %w", err)
	}
	return nil
}

func (b *Bench) startCluster(ctx context.Context, h *history.History, cluster *etcd.Cluster) error {
	if cluster == nil {
		dir, remove, err := scratch.Folder()
		if err != nil {
			return err
		}
		if cluster, err = etcd.Start(ctx, etcd.Config{Members: b.Topology.Members, Dir: dir, History: h,
			Programs: b.Topology.Etcd}); err != nil {
			return errors.Join(err, remove())
		}
		defer func() {
			b.Ends(remove)
			b.Ends(cluster.Close)
		}()
	} else if n := len(cluster.Members); n != b.Topology.Members {
		return fmt.Errorf("this topology cannot be on a cluster of %d members: Members is %d", n, b.Topology.Members)
	}
	if is := cluster.Programs(); is != b.Topology.Etcd {
		return fmt.Errorf("this topology cannot be on a cluster that runs %s: Etcd is %s", is, b.Topology.Etcd)
	}
	b.Stage = stage.New(h, cluster, b.Topology.Upstream...)
	b.Stage.Program, b.Stage.Balances = b.Topology.Proxy, b.Topology.Balancer
	return nil
}

func (b *Bench) startProxies(ctx context.Context) error {
	stop := b.Cluster.Follow(b.History, 0)
	b.Ends(func() error { stop(); return nil })
	if b.Topology.Auth {
		if err := b.EnableAuth(ctx); err != nil {
			return err
		}
	}
	if b.Topology.Direct {
		return nil
	}
	for _, name := range names("p", b.Topology.Proxies) {
		if _, err := b.StartProxy(ctx, name, b.Topology.Variant); err != nil {
			return err
		}
	}
	return b.StartBalancer(ctx, b.Topology.Weights, b.Topology.Sticky)
}

func (b *Bench) startInstances(ctx context.Context) error {
	for _, id := range b.Topology.Instances {
		if _, err := b.Register(ctx, id); err != nil {
			return err
		}
	}
	// One more client, an operator's, connects here: with the default instances the schedule then gives g1 to p1, g2 to
	// p2, g3 to p3.
	if !b.Topology.Direct {
		if _, err := b.Client(ctx, stage.Operator); err != nil {
			return err
		}
	}
	return b.Cluster.WaitApplied(ctx, 0)
}

func (b *Bench) startGateways(ctx context.Context) error {
	for _, user := range b.Topology.Users {
		if user != "" && user != stage.Root {
			if err := b.User(ctx, user, keys.Registry, clientv3.PermissionType(clientv3.PermRead)); err != nil {
				return err
			}
		}
	}
	for i, name := range names("g", b.Topology.Gateways) {
		if _, err := b.StartGateway(ctx, name, b.Topology.ModeOf(i+1)); err != nil {
			return err
		}
	}
	return nil
}

// startScrub starts what an operator runs beside the proxies.
func (b *Bench) startScrub(_ context.Context) error {
	if b.Topology.Scrub == 0 || b.Topology.Direct {
		return nil
	}
	b.StartScrub(b.Topology.Scrub, b.Topology.Scrubbing(), b.ServicePrefix(), keys.Registry)
	return nil
}

// ScrubOnce reads what gateways read, linearizably and through every proxy.
func (b *Bench) ScrubOnce(ctx context.Context) error {
	return b.Scrub(ctx, stage.Reading, b.ServicePrefix(), keys.Registry)
}
