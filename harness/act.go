package harness

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"ghostroute/harness/balancer"
	"ghostroute/harness/conn"
	"ghostroute/harness/gateway"
	"ghostroute/harness/hangup"
	"ghostroute/harness/history"
	"ghostroute/harness/keys"
	"ghostroute/harness/link"
	"ghostroute/harness/proxy"
	"ghostroute/harness/service"
)

// Proxies are p1, p2 … in this order.
func (b *Bench) Proxies() []*proxy.Proxy { return b.proxies }

// Proxy is the proxy of that name. It panics where there is none, as a typo in a test should.
func (b *Bench) Proxy(name string) *proxy.Proxy {
	for _, p := range b.proxies {
		if p.Name() == name {
			return p
		}
	}
	panic(fmt.Sprintf("this bench has no proxy %q: it has %s", name, strings.Join(names("p", len(b.proxies)), ", ")))
}

// Gateways are g1, g2 … in this order.
func (b *Bench) Gateways() []*gateway.Gateway { return b.gateways }

// Gateway is the gateway of that name. It panics where there is none.
func (b *Bench) Gateway(name string) *gateway.Gateway {
	for _, g := range b.gateways {
		if g.Name() == name {
			return g
		}
	}
	panic(fmt.Sprintf("this bench has no gateway %q: it has %s", name, strings.Join(names("g", len(b.gateways)), ", ")))
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

// VIP is a client's own address at the balancer: its connection can be cut, delayed or dropped there. It is nil for a client that has none.
func (b *Bench) VIP(client string) *balancer.VIP {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.vips[client]
}

// Links are a client's ways out: its VIP, or with Topology.Direct its link to each member. They can be cut, delayed, made black holes.
func (b *Bench) Links(client string) []*link.Link {
	b.mu.Lock()
	defer b.mu.Unlock()
	if v := b.vips[client]; v != nil {
		return []*link.Link{v.Link}
	}
	return b.direct[client]
}

// PinnedTo is the proxy that a client's live connection goes to, "" where it has none.
func (b *Bench) PinnedTo(client string) string {
	if b.Balancer == nil {
		return ""
	}
	if pinned := b.Balancer.Pinned()[client]; len(pinned) > 0 {
		return pinned[len(pinned)-1]
	}
	return ""
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
	cfg := service.Config{Service: b.Topology.Service, Version: version, ID: id, Registry: reg, TTL: b.Topology.TTL, Interval: b.Topology.Interval, History: b.History}
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
	b.ends(i.Close)
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

// Deregister has an instance leave in good order: it deregisters and stops. With Topology.Scatter its key is deleted through every other
// proxy too, as the fix of that name has it.
func (b *Bench) Deregister(ctx context.Context, id string) error {
	i := b.Instance(id)
	if err := i.Stop(ctx); err != nil {
		return err
	}
	if !b.Topology.Scatter {
		return nil
	}
	return b.Scatter(ctx, i.Key())
}

// Scatter deletes a key through every proxy, one after another.
func (b *Bench) Scatter(ctx context.Context, key string) error {
	for _, p := range b.proxies {
		c, err := b.At(p)
		if err != nil {
			return err
		}
		// A proxy that cannot reach etcd is passed over, as whoever deregisters would sooner or later.
		dctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		err = b.Delete(dctx, "scatter", p.Name(), c, key)
		cancel()
		if err != nil && ctx.Err() != nil {
			return err
		}
	}
	return nil
}

// Scrub reads the registry linearizably through every proxy, once: GetService's range for the service and ListServices' range, byte for
// byte, for a proxy's entry is healed by exactly the request that filled it.
func (b *Bench) Scrub(ctx context.Context) error {
	for _, p := range b.proxies {
		c, err := b.At(p)
		if err != nil {
			return err
		}
		for _, prefix := range []string{b.ServicePrefix(), keys.Registry} {
			if _, err := c.Get(ctx, prefix, clientv3.WithPrefix()); err != nil {
				return fmt.Errorf("%s was not scrubbed: %w", p.Name(), err)
			}
		}
	}
	return nil
}

// HoldScrub holds the scrubber of Topology.Scrub back until release is called.
func (b *Bench) HoldScrub() (release func()) {
	b.scrubbing.Lock()
	return sync.OnceFunc(b.scrubbing.Unlock)
}

// Scrubbed waits until the scrubber of Topology.Scrub has been through every proxy, from the first to the last, once more.
func (b *Bench) Scrubbed(ctx context.Context) error {
	seen := b.scrubs.Load()
	if err := Until(ctx, func() bool { return b.scrubs.Load() >= seen+2 }); err != nil { // one may be under way
		return fmt.Errorf("the scrubber did not get through every proxy: %w", err)
	}
	return nil
}

// Fault records a fault that the bench's user makes on a part that keeps no history, a link for one.
func (b *Bench) Fault(kind history.FaultKind, op history.FaultOp, target, detail string) {
	b.History.Add(history.Event{Who: "bench", Fault: &history.Fault{Kind: kind, Op: op, Target: target, Detail: detail}})
}

// Client is a plain etcd client of that name, connected through its own VIP, or to the members where there is no proxy: an operator with
// etcdctl, a cron job, another team. With Topology.Auth it is root.
func (b *Bench) Client(ctx context.Context, name string) (*clientv3.Client, error) {
	return b.ClientAs(ctx, name, b.rootIf(), b.rootIf())
}

// ClientAs is Client for a user of its own.
func (b *Bench) ClientAs(ctx context.Context, name, user, password string) (*clientv3.Client, error) {
	b.mu.Lock()
	c := b.clients[name]
	b.mu.Unlock()
	if c != nil {
		return c, nil
	}
	addrs, err := b.addresses(name)
	if err != nil {
		return nil, err
	}
	if c, err = b.at(addrs[0], user, password, addrs[1:]...); err != nil {
		return nil, err
	}
	b.ends(func() error { return hangup.Close(c) })
	b.mu.Lock()
	b.clients[name] = c
	b.mu.Unlock()
	return c, connected(ctx, name, c)
}

// At is a plain etcd client of one proxy, past the balancer. It is ended with the bench.
func (b *Bench) At(p *proxy.Proxy) (*clientv3.Client, error) {
	name := "at " + p.Name()
	b.mu.Lock()
	defer b.mu.Unlock()
	if c := b.clients[name]; c != nil {
		return c, nil
	}
	c, err := b.at(p.Addr(), b.rootIf(), b.rootIf())
	if err == nil {
		b.ends(func() error { return hangup.Close(c) })
		b.clients[name] = c
	}
	return c, err
}

func (b *Bench) at(addr, user, password string, more ...string) (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{Endpoints: append([]string{addr}, more...), Username: user, Password: password,
		DialTimeout: 5 * time.Second, Logger: zap.NewNop()})
}

// connected waits until a client has a connection, so that it is pinned before it is asked where to.
func connected(ctx context.Context, name string, c *clientv3.Client) error {
	if err := conn.Ready(ctx, c.ActiveConnection()); err != nil {
		return fmt.Errorf("%s was not connected: %w", name, err)
	}
	return nil
}

// Reconnect drops a client's connections and waits until the balancer has given it another.
func (b *Bench) Reconnect(ctx context.Context, client string) error {
	v := b.VIP(client)
	if v == nil {
		return fmt.Errorf("%s cannot reconnect: it has no VIP", client)
	}
	b.mu.Lock()
	i, c := b.instances[client], b.clients[client]
	b.mu.Unlock()
	switch {
	case i != nil:
		c = i.Registry().Client()
	case slices.ContainsFunc(b.gateways, func(g *gateway.Gateway) bool { return g.Name() == client }):
		c = b.Gateway(client).Registry().Client()
	case c == nil:
		return fmt.Errorf("%s cannot reconnect: nobody of that name is connected", client)
	}
	seen := b.History.Len()
	v.Drop()
	if err := connected(ctx, client, c); err != nil {
		return err
	}
	// A client may not have noticed yet that its connection is gone; the balancer has noticed the new one.
	_, err := b.History.Wait(ctx, seen, func(e history.Event) bool {
		return e.Conn != nil && e.Conn.Op == "open" && e.Conn.Client == client
	})
	if err != nil {
		return fmt.Errorf("%s did not reconnect: %w", client, err)
	}
	return nil
}

func (b *Bench) record(who string, w history.Write) {
	b.History.Add(history.Event{Who: who, Write: &w})
}

// Delete deletes a key, or with clientv3.WithPrefix a range, through a client, and records who did and where.
func (b *Bench) Delete(ctx context.Context, who, via string, c *clientv3.Client, key string, opts ...clientv3.OpOption) error {
	w := history.Write{Began: b.History.Now(), Via: via, Op: "delete", Key: key, End: string(clientv3.OpDelete(key, opts...).RangeBytes())}
	r, err := c.Delete(ctx, key, opts...)
	if err != nil {
		w.Err = err.Error()
	} else {
		w.Revision, w.Deleted = r.Header.Revision, r.Deleted
	}
	b.record(who, w)
	return err
}

// ServiceKey is the key of an instance of the bench's service.
func (b *Bench) ServiceKey(id string) string { return keys.Node(b.Topology.Service, id) }

// ServicePrefix is the range that GetService reads for the bench's service.
func (b *Bench) ServicePrefix() string { return keys.Service(b.Topology.Service) }
