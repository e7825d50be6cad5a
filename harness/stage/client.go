package stage

import (
	"context"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"ghostroute/harness/balancer"
	"ghostroute/harness/conn"
	"ghostroute/harness/hangup"
	"ghostroute/harness/history"
	"ghostroute/harness/link"
	"ghostroute/harness/proxy"
	"ghostroute/harness/tap"
)

// Addresses are where a client of that name reaches etcd: its own VIP, or where there is no balancer a link of its own
// to each member.
func (s *Stage) Addresses(client string) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Balancer != nil {
		v := s.vips[client]
		if v == nil {
			var err error
			if v, err = s.Balancer.VIP(client); err != nil {
				return nil, err
			}
			s.vips[client] = v
		}
		return []string{v.Addr()}, nil
	}
	if s.direct[client] == nil {
		for _, m := range s.upstream {
			l, err := link.Listen(client+"→"+m.Name, link.To("tcp", m.Endpoint()))
			if err != nil {
				return nil, err
			}
			s.Ends(l.Close)
			s.direct[client] = append(s.direct[client], l)
		}
	}
	var addrs []string
	for _, l := range s.direct[client] {
		addrs = append(addrs, l.Addr())
	}
	return addrs, nil
}

// VIP is a client's own address at the balancer, nil for a client that has none.
func (s *Stage) VIP(client string) *balancer.VIP {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.vips[client]
}

// Client is a plain etcd client of that name, connected through its own VIP, or to the members where there is no proxy:
// an operator with etcdctl, a cron job, another team. With authentication on it is root. What it writes is recorded.
func (s *Stage) Client(ctx context.Context, name string) (*clientv3.Client, error) {
	return s.ClientAs(ctx, name, s.root(), s.root())
}

// ClientAs is Client for a user of its own.
func (s *Stage) ClientAs(ctx context.Context, name, user, password string) (*clientv3.Client, error) {
	addrs, err := s.Addresses(name)
	if err != nil {
		return nil, err
	}
	return s.client(ctx, name, tap.Tap{Client: name, History: s.History}, addrs, user, password)
}

// At is the operator's client of one proxy or one member, past the balancer.
func (s *Stage) At(ctx context.Context, node string) (*clientv3.Client, error) {
	t := tap.Tap{Client: Operator, History: s.History}
	var addr string
	if m := s.Cluster.Member(node); m != nil {
		addr, t.Via = m.Endpoint(), node
	} else if p, err := s.proxy(node); err == nil {
		addr, t.Via = p.Addr(), node
	} else {
		return nil, err
	}
	return s.client(ctx, "at "+node, t, []string{addr}, s.root(), s.root())
}

// dialTimeout bounds a login, too, which takes a tenth of a second of a processor.
const dialTimeout = 15 * time.Second

// Operator is the name by which an operator's writes are recorded, whichever proxy or member they are made at.
const Operator = "ops"

// client is the client of that name, which it makes if there is none; it has a connection when it is returned, so that
// it is pinned before it is asked where to.
func (s *Stage) client(
	ctx context.Context, name string, t tap.Tap, addrs []string, user, password string,
) (*clientv3.Client, error) {
	s.mu.Lock()
	c := s.clients[name]
	s.mu.Unlock()
	if c == nil {
		var err error
		if c, err = clientv3.New(clientv3.Config{Endpoints: addrs, Username: user, Password: password,
			DialTimeout: dialTimeout, Logger: zap.NewNop()}); err != nil {
			return nil, err
		}
		t.Into(c)
		s.Ends(func() error { return hangup.Close(c) })
		s.mu.Lock()
		s.clients[name] = c
		s.mu.Unlock()
	}
	if err := conn.Ready(ctx, c.ActiveConnection()); err != nil {
		return nil, fmt.Errorf("%s was not connected: %w", name, err)
	}
	return c, nil
}

// Reconnect drops a client's connections and waits until the balancer has given it another. Where the client is none
// that the stage made, connect is how it is waited for that it has a connection.
func (s *Stage) Reconnect(ctx context.Context, client string, connect func(context.Context) error) error {
	v := s.VIP(client)
	if v == nil {
		return fmt.Errorf("%s cannot reconnect: it has no VIP", client)
	}
	if connect == nil {
		s.mu.Lock()
		c := s.clients[client]
		s.mu.Unlock()
		if c == nil {
			return fmt.Errorf("%s cannot reconnect: no client of that name is connected", client)
		}
		connect = func(ctx context.Context) error { return conn.Ready(ctx, c.ActiveConnection()) }
	}
	seen := s.History.Len()
	v.Drop()
	if err := connect(ctx); err != nil {
		return fmt.Errorf("%s did not reconnect: %w", client, err)
	}
	// A client may not have noticed yet that its connection is gone; the balancer has noticed the new one.
	_, err := s.History.Wait(ctx, seen, func(e history.Event) bool {
		return e.Conn != nil && e.Conn.Op == "open" && e.Conn.Client == client
	})
	if err != nil {
		return fmt.Errorf("%s did not reconnect: %w", client, err)
	}
	return nil
}

// moment is how long a client that scatters waits for a proxy that has no way to etcd before it passes it over. One
// that has is given longer than it takes however busy the machine is.
const moment, longer = 300 * time.Millisecond, 10 * time.Second

// Scatter deletes a key, or with an option a range, through every proxy, one after another: one that cannot reach etcd
// is passed over. It is what the fix "scatter" does.
func (s *Stage) Scatter(ctx context.Context, key string, opts ...clientv3.OpOption) error {
	for _, p := range s.proxies {
		if err := s.scatter(ctx, p, key, opts); err != nil && ctx.Err() != nil {
			return err
		}
	}
	return nil
}

func (s *Stage) scatter(ctx context.Context, p *proxy.Proxy, key string, opts []clientv3.OpOption) error {
	limit := moment
	if s.hasWay(p) {
		limit = longer
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	c, err := s.At(ctx, p.Name())
	if err != nil {
		return err
	}
	_, err = c.Delete(ctx, key, opts...)
	return err
}

// Revoke revokes the lease of a key through a client. The lease is read on a member.
func (s *Stage) Revoke(ctx context.Context, c *clientv3.Client, key string) (revision int64, err error) {
	id, err := s.leaseOf(ctx, key)
	if err != nil {
		return 0, err
	}
	v, err := c.Revoke(ctx, id)
	if err != nil {
		return 0, fmt.Errorf("the lease of %s was not revoked: %w", key, err)
	}
	return v.Header.Revision, nil
}

// Renew renews the lease of a key once, through a client, as go-micro does, and returns how many seconds the answer
// says that it has: all that were granted, if it was renewed. The lease is read on a member.
func (s *Stage) Renew(ctx context.Context, c *clientv3.Client, key string) (seconds int64, err error) {
	id, err := s.leaseOf(ctx, key)
	if err != nil {
		return 0, err
	}
	r, err := c.KeepAliveOnce(ctx, id)
	if err != nil {
		return 0, err
	}
	return r.TTL, nil
}

// leaseOf is the lease of a key, read on a member.
func (s *Stage) leaseOf(ctx context.Context, key string) (clientv3.LeaseID, error) {
	r, err := s.Cluster.Truth(ctx, key)
	if err != nil {
		return 0, err
	}
	if len(r.Kvs) == 0 || r.Kvs[0].Lease == 0 {
		return 0, fmt.Errorf("%s has no lease", key)
	}
	return clientv3.LeaseID(r.Kvs[0].Lease), nil
}
