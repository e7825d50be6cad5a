package lab

import (
	"context"
	"fmt"
	"net"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"

	"ghostroute/harness/balancer"
	"ghostroute/harness/conn"
	"ghostroute/harness/explore/plan"
)

// door is one client's connection to a proxy, a member or its VIP. It is plain gRPC: etcd's client would retry what failed, and a plan
// asks once.
type door struct {
	conn  *grpc.ClientConn
	kv    pb.KVClient
	lease pb.LeaseClient
}

// enters is the door that a plan's door leads to under the lab's topology: with everybody at one proxy p1, with none a member.
func (m *Machine) enters(via string) string {
	switch {
	case m.lab.cfg.Topology.Direct && via == plan.VIP:
		return "m1"
	case m.lab.cfg.Topology.Direct && via[0] == 'p':
		return name('m', number(via)%m.plan.Members)
	case m.lab.cfg.OneProxy && via[0] != 'm':
		return "p1"
	}
	return via
}

func (m *Machine) address(who, via string) (string, error) {
	switch {
	case via == plan.VIP:
		v, err := m.lb.VIP(who)
		if err != nil {
			return "", err
		}
		return v.Addr(), nil
	case via[0] == 'p':
		return m.proxies[number(via)].Addr(), nil
	}
	return m.cluster.Members[number(via)].Endpoint(), nil
}

// doorOf gives the client's connection there, which it makes if there is none. It connects with the first call.
func (m *Machine) doorOf(who, via string) (*door, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	id := who + " " + via
	if d := m.doors[id]; d != nil {
		return d, nil
	}
	addr, err := m.address(who, via)
	if err != nil {
		return nil, err
	}
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: time.Second,
			Backoff: backoff.Config{BaseDelay: 2 * time.Millisecond, Multiplier: 1.6, MaxDelay: 20 * time.Millisecond}}),
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
			if err == nil {
				m.mu.Lock()
				m.whose[c.LocalAddr().String()] = who
				m.mu.Unlock()
			}
			return c, err
		}),
		grpc.WithDefaultCallOptions(grpc.WaitForReady(true)))
	if err != nil {
		return nil, err
	}
	d := &door{conn: conn, kv: pb.NewKVClient(conn), lease: pb.NewLeaseClient(conn)}
	m.doors[id] = d
	return d, nil
}

// hangUp closes every connection to a door, or with who only that client's: whoever asks there again dials again.
func (m *Machine) hangUp(who, via string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, d := range m.doors {
		if id == who+" "+via || who == "" && len(id) > len(via) && id[len(id)-len(via)-1:] == " "+via {
			_ = d.conn.Close() // its calls are over: the machine makes one at a time, and those that are held are another door's
			delete(m.doors, id)
		}
	}
}

// connect waits until the client has a connection there.
func (m *Machine) connect(ctx context.Context, who, via string) error {
	d, err := m.doorOf(who, via)
	if err != nil {
		return err
	}
	if err := conn.Ready(ctx, d.conn); err != nil {
		return fmt.Errorf("%s: %w", who, err)
	}
	return nil
}

// clientOf is whose connection comes from an address.
func (m *Machine) clientOf(addr string) string {
	if m.lb != nil {
		for i := range m.proxies {
			if who := m.lb.ClientOf(name('p', i), addr); who != "" {
				return who
			}
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.whose[addr]
}

// startBalancer starts the balancer if the plan has any use for one.
func (m *Machine) startBalancer() error {
	uses := false
	for _, s := range m.plan.Steps {
		uses = uses || s.Via == plan.VIP
	}
	if !uses || len(m.proxies) == 0 {
		return nil
	}
	var backends []balancer.Backend
	for _, p := range m.proxies {
		backends = append(backends, balancer.Backend{Name: p.Name(), Addr: p.Addr(), Weight: 1})
		m.weights = append(m.weights, 1)
	}
	var err error
	if m.lb, err = balancer.New(m.history, backends); err == nil {
		m.lb.SetSticky(m.lab.cfg.Topology.Sticky)
	}
	return err
}

// door is the proxy that a client's VIP leads to, "" for none. Asking makes no connection.
func (m *Machine) door(client string) string {
	if m.lb == nil {
		return ""
	}
	if at := m.lb.Pinned()[client]; len(at) > 0 {
		return at[len(at)-1]
	}
	return ""
}

// place has the client come to its VIP, if it can, and says where it was led.
func (m *Machine) place(who string) (string, error) {
	if at := m.door(who); at != "" {
		return at, nil
	}
	if m.cut[who+"-vip"] || !m.open() {
		return "", nil
	}
	ctx, cancel := context.WithTimeout(m.ctx, patience)
	defer cancel()
	m.hangUp(who, plan.VIP)
	l4 := m.lab.cfg.Topology.Variant.Relays
	if l4 {
		ctx, cancel = context.WithTimeout(ctx, 10*m.moment()) // one that lost its member accepts and hangs up
		defer cancel()
	}
	if err := m.connect(ctx, who, plan.VIP); l4 && err != nil {
		return "", nil
	} else if err != nil {
		return "", err
	}
	return m.door(who), nil
}

// open says whether the balancer takes new connections.
func (m *Machine) open() bool {
	for _, w := range m.weights {
		if w > 0 {
			return true
		}
	}
	return false
}

// balance takes the steps that are the balancer's.
func (m *Machine) balance(s plan.Step) error {
	if m.lb == nil {
		return nil // nobody comes through it in this plan
	}
	switch s.Verb {
	case plan.Weights:
		weights := map[string]int{}
		for i, w := range s.N {
			if i < len(m.proxies) {
				weights[name('p', i)], m.weights[i] = w, w
			}
		}
		return m.lb.SetWeights(weights)
	case plan.Drain:
		var gone []string
		for who, at := range m.lb.Pinned() {
			if at[len(at)-1] == s.Target {
				gone = append(gone, who)
			}
		}
		for _, who := range gone { // their clients notice when the balancer resets them, and dial again when they next ask
			m.hangUp(who, plan.VIP)
		}
		_, err := m.lb.Drain(s.Target)
		return err
	}
	m.hangUp(s.Target, plan.VIP)
	return m.parted(s.Target)
}

// parted waits until the balancer has noticed that a client hung up.
func (m *Machine) parted(who string) error {
	ctx, cancel := context.WithTimeout(m.ctx, patience)
	defer cancel()
	for m.door(who) != "" {
		select {
		case <-ctx.Done():
			return fmt.Errorf("the balancer never noticed that %s hung up: %w", who, context.Cause(ctx))
		case <-time.After(100 * time.Microsecond): // nobody announces it
		}
	}
	return nil
}
