package lab

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"

	grpcconn "ghostroute/harness/conn"
	"ghostroute/harness/explore/plan"
	"ghostroute/harness/wait"
)

// conn is one client's connection to a proxy, a member or its VIP. It is plain gRPC: etcd's client would retry what
// failed, and a plan asks once.
type conn struct {
	*grpc.ClientConn
	kv    pb.KVClient
	lease pb.LeaseClient
}

// address is where an endpoint listens.
func (m *Machine) address(client, endpoint string) (string, error) {
	switch {
	case endpoint == plan.VIP:
		addrs, err := m.stage.Addresses(client)
		return strings.Join(addrs, ""), err
	case endpoint[0] == 'p':
		return m.stage.Proxy(endpoint).Addr(), nil
	}
	return m.stage.Cluster.Member(endpoint).Endpoint(), nil
}

// connOf gives the client's connection there, which it makes if there is none. It connects with the first call.
func (m *Machine) connOf(client, endpoint string) (*conn, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	id := client + " " + endpoint
	if c := m.conns[id]; c != nil {
		return c, nil
	}
	addr, err := m.address(client, endpoint)
	if err != nil {
		return nil, err
	}
	g, err := grpc.NewClient("passthrough:///"+addr, append(m.dialling(client),
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.WaitForReady(true)))...)
	if err != nil {
		return nil, err
	}
	m.conns[id] = &conn{g, pb.NewKVClient(g), pb.NewLeaseClient(g)}
	return m.conns[id], nil
}

// dialling has a client dial again at once, and notes which connection is whose.
func (m *Machine) dialling(client string) []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: time.Second,
			Backoff: backoff.Config{BaseDelay: 2 * time.Millisecond, Multiplier: 1.6, MaxDelay: 20 * time.Millisecond}}),
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
			if err == nil {
				m.mu.Lock()
				m.dialled[c.LocalAddr().String()] = client
				m.mu.Unlock()
			}
			return c, err
		}),
	}
}

// clientOf is the client whose connection comes from an address, where it did not come by way of the balancer.
func (m *Machine) clientOf(addr string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.dialled[addr]
}

// hangUp closes every connection to an endpoint, or only this client's: whatever is asked there again dials again.
func (m *Machine) hangUp(client, endpoint string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, c := range m.conns {
		if of, to, _ := strings.Cut(id, " "); to == endpoint && (client == "" || of == client) {
			// Its calls are over: the machine makes one at a time, and those that are held are another connection's.
			_ = c.Close()
			delete(m.conns, id)
		}
	}
}

// startBalancer starts the balancer if the plan has any use for one.
func (m *Machine) startBalancer() error {
	if m.plan.Proxies == 0 || !slices.ContainsFunc(m.plan.Steps, func(s plan.Step) bool { return s.Via == plan.VIP }) {
		return nil
	}
	m.weights = slices.Repeat([]int{1}, m.plan.Proxies)
	return m.stage.StartBalancer(m.ctx, m.weights, m.lab.cfg.Topology.Sticky)
}

// place has the client come to its VIP, if it can, and says where it was led.
func (m *Machine) place(client string) (string, error) {
	if at := m.stage.PinnedTo(client); at != "" {
		return at, nil
	}
	if m.cut[client+"-vip"] || !slices.ContainsFunc(m.weights, func(w int) bool { return w > 0 }) {
		return "", nil // the balancer takes no new connections
	}
	relays := m.lab.cfg.Topology.Variant.Relays
	within := patience
	if relays {
		within = 10 * m.moment() // one that lost its member accepts and hangs up
	}
	ctx, cancel := context.WithTimeout(m.ctx, within)
	defer cancel()
	m.hangUp(client, plan.VIP)
	c, err := m.connOf(client, plan.VIP)
	if err != nil {
		return "", err
	}
	if err := grpcconn.Ready(ctx, c.ClientConn); err != nil {
		if relays {
			return "", nil
		}
		return "", fmt.Errorf("%s: %w", client, err)
	}
	return m.stage.PinnedTo(client), nil
}

func (m *Machine) setWeights(_ context.Context, s plan.Step) error {
	if m.stage.Balancer == nil {
		return nil // no client of this plan comes through it
	}
	weights := map[string]int{}
	for i, w := range s.N {
		weights[plan.Name('p', i)] = w
	}
	m.weights = s.N
	return m.stage.SetWeights(weights)
}

// drain closes a proxy's connections at the balancer. Their clients dial again when they next ask.
func (m *Machine) drain(_ context.Context, s plan.Step) error {
	if m.stage.Balancer == nil {
		return nil
	}
	for _, client := range m.pinnedAt(s.Target) {
		m.hangUp(client, plan.VIP)
	}
	_, err := m.stage.Balancer.Drain(s.Target)
	return err
}

func (m *Machine) reconnect(ctx context.Context, s plan.Step) error { return m.part(ctx, s.Target) }

// pinnedAt are the clients that the balancer led to a proxy.
func (m *Machine) pinnedAt(proxy string) (clients []string) {
	if m.stage.Balancer == nil {
		return nil
	}
	for client := range m.stage.Balancer.Pinned() {
		if m.stage.PinnedTo(client) == proxy {
			clients = append(clients, client)
		}
	}
	return clients
}

// part closes a client's connection to its VIP and waits until the balancer has noticed.
func (m *Machine) part(ctx context.Context, client string) error {
	m.hangUp(client, plan.VIP)
	return wait.Until(ctx, "the balancer has not noticed that "+client+" hung up",
		func() bool { return m.stage.PinnedTo(client) == "" })
}
