package harness

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"ghostroute/harness/gateway"
	"ghostroute/harness/history"
	"ghostroute/harness/keys"
	"ghostroute/harness/registry"
	"ghostroute/harness/service"
	"ghostroute/harness/stage"
)

// Gateways are g1, g2 … in this order.
func (b *Bench) Gateways() []*gateway.Gateway { return b.gateways }

// Gateway is the gateway of that name. It panics where there is none.
func (b *Bench) Gateway(name string) *gateway.Gateway {
	if i := b.gatewayAt(name); i >= 0 {
		return b.gateways[i]
	}
	panic(fmt.Sprintf("this bench has no gateway %q: it has %s", name, strings.Join(names("g", len(b.gateways)), ", ")))
}

func (b *Bench) gatewayAt(name string) int {
	return slices.IndexFunc(b.gateways, func(g *gateway.Gateway) bool { return g.Name() == name })
}

// StartGateway starts a gateway of the topology's kind in that read mode, in place of the one of that name if there is
// one: another process, which makes a connection of its own.
func (b *Bench) StartGateway(ctx context.Context, name string, mode registry.Mode) (*gateway.Gateway, error) {
	at := b.gatewayAt(name)
	if at >= 0 {
		if err := b.gateways[at].Close(); err != nil {
			return nil, err
		}
	} else {
		at = len(b.gateways)
		b.gateways = append(b.gateways, nil)
	}
	cfg, err := b.registryOf(name, mode)
	if err != nil {
		return nil, err
	}
	if at < len(b.Topology.Users) && b.Topology.Users[at] != "" {
		cfg.Username, cfg.Password = b.Topology.Users[at], b.Topology.Users[at]
	}
	g, err := gateway.Start(ctx, gateway.Config{Name: name, Kind: b.Topology.Reading, Registry: cfg,
		Library: b.Topology.Library, CacheTTL: b.Topology.CacheTTL,
		Retry: b.Topology.Retry, History: b.History, Target: b.targetAt})
	if err != nil {
		b.gateways = slices.Delete(b.gateways, at, at+1)
		return nil, err
	}
	b.Ends(g.Close)
	b.gateways[at] = g
	return g, nil
}

// registryOf is how a client of that name reaches the registry.
func (b *Bench) registryOf(client string, mode registry.Mode) (registry.Config, error) {
	addrs, err := b.Addresses(client)
	cfg := registry.Config{Client: client, Addresses: addrs, Mode: mode, History: b.History,
		Mended: b.Topology.Library == gateway.Mended, Program: b.Topology.Client, Dir: b.Cluster.Dir()}
	if b.Topology.Auth {
		cfg.Username, cfg.Password = stage.Root, stage.Root
	}
	return cfg, err
}

// targetAt is the instance that is, or last was, at an address.
func (b *Bench) targetAt(addr string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.known[addr]
}

// Instance is the instance of that name, running or not. It panics where there never was one.
func (b *Bench) Instance(id string) *service.Instance {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := b.instances[id]; i != nil {
		return i
	}
	panic(fmt.Sprintf("this bench never had an instance %q", id))
}

// Change changes an instance's config before it starts.
type Change = func(*service.Config)

// Register starts an instance, "v2-a" being instance a of version v2, which registers itself through its own VIP.
func (b *Bench) Register(ctx context.Context, id string, change ...Change) (*service.Instance, error) {
	reg, err := b.registryOf(id, b.Topology.Mode)
	if err != nil {
		return nil, err
	}
	version, _, _ := strings.Cut(id, "-")
	cfg := service.Config{Service: b.Topology.Service, Version: version, ID: id, Registry: reg, TTL: b.Topology.TTL,
		Interval: b.Topology.Interval, History: b.History}
	for _, f := range change {
		f(&cfg)
	}
	i, err := service.Start(ctx, cfg)
	if err != nil {
		return nil, err
	}
	b.adopt(i)
	return i, nil
}

// adopt makes an instance the bench's: known by its name and address, and ended with the bench.
func (b *Bench) adopt(i *service.Instance) {
	b.Ends(i.Close)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.instances[i.Config().ID] = i
	b.known[i.Addr()] = i.Config().ID
}

// Restart has an instance's process end and start again, the same name at the same address.
func (b *Bench) Restart(ctx context.Context, id string, change ...Change) (*service.Instance, error) {
	i, err := b.Instance(id).Restart(ctx, change...)
	if err != nil {
		return nil, err
	}
	b.adopt(i)
	return i, nil
}

// Leave has an instance leave in good order: it deregisters and stops. With Topology.Scatter its key is deleted through
// every other proxy too, as the fix of that name has it.
func (b *Bench) Leave(ctx context.Context, id string) error {
	i := b.Instance(id)
	if err := i.Stop(ctx); err != nil || !b.Topology.Scatter {
		return err
	}
	return b.Scatter(ctx, i.Key())
}

// Expire waits until etcd has deleted the keys of instances whose leases nothing renews.
func (b *Bench) Expire(ctx context.Context, ids ...string) error {
	for _, id := range ids {
		key, put := b.ServiceKey(id), 0
		commit := func(e history.Event, op string) bool {
			return e.Commit != nil && e.Commit.Key == key && e.Commit.Op == op
		}
		for _, e := range b.History.Events() {
			if commit(e, "put") {
				put = e.Seq
			}
		}
		if _, err := b.History.Wait(ctx, put, func(e history.Event) bool { return commit(e, "delete") }); err != nil {
			return fmt.Errorf("%s is still in truth, its lease has not ended: %w", id, err)
		}
	}
	return nil
}

// connectOf is how the client under an instance or a gateway is waited for that it has a connection; nil for a client
// of the stage's own.
func (b *Bench) connectOf(name string) func(context.Context) error {
	b.mu.Lock()
	i := b.instances[name]
	b.mu.Unlock()
	switch {
	case i != nil:
		return i.Registry().Connect
	case b.gatewayAt(name) >= 0:
		return b.Gateway(name).Registry().Connect
	}
	return nil
}

// Reconnect drops a client's connections and waits until the balancer has given it another.
func (b *Bench) Reconnect(ctx context.Context, client string) error {
	return b.Stage.Reconnect(ctx, client, b.connectOf(client))
}

// Connected waits until every gateway has a connection, after something closed them.
func (b *Bench) Connected(ctx context.Context) error {
	for _, g := range b.gateways {
		if err := g.Registry().Connect(ctx); err != nil {
			return err
		}
	}
	return nil
}

// ServiceKey is the key of an instance of the bench's service.
func (b *Bench) ServiceKey(id string) string { return keys.Node(b.Topology.Service, id) }

// ServicePrefix is the range that GetService reads for the bench's service.
func (b *Bench) ServicePrefix() string { return keys.Service(b.Topology.Service) }
