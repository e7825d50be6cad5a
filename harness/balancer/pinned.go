package balancer

import (
	"cmp"
	"net"
	"slices"
	"sync"

	"ghostroute/harness/history"
)

// pinned is a connection that the balancer gave to a backend. It stays there until one side closes it.
type pinned struct {
	*net.TCPConn
	balancer      *Balancer
	client, proxy string
	backend       int
	n             int // its ordinal among all connections, from 1
	once          sync.Once
}

// pin takes note of a new connection before anything passes over it.
func (b *Balancer) pin(to placed, client string, n int) *pinned {
	p := &pinned{TCPConn: to.TCPConn, balancer: b, client: client, proxy: b.backends[to.backend].Name,
		backend: to.backend, n: n}
	b.mu.Lock()
	b.live[p] = struct{}{}
	b.whose[way{p.proxy, to.from}] = client
	b.mu.Unlock()
	b.record(history.Conn{Op: "open", Client: client, Proxy: p.proxy, N: n, Detail: "from " + to.from})
	return p
}

// Close ends the connection; the link calls it when either side has gone.
func (p *pinned) Close() error {
	err := p.TCPConn.Close()
	p.once.Do(func() {
		p.balancer.mu.Lock()
		delete(p.balancer.live, p)
		p.balancer.mu.Unlock()
		p.balancer.record(history.Conn{Op: "close", Client: p.client, Proxy: p.proxy, N: p.n})
	})
	return err
}

// Pinned says where each client's live connections are: client → a proxy for each of them, oldest first. A client
// without any is not in it.
func (b *Balancer) Pinned() map[string][]string {
	pins := map[string][]string{}
	for _, p := range b.alive(func(*pinned) bool { return true }) {
		pins[p.client] = append(pins[p.client], p.proxy)
	}
	return pins
}

// way is how a backend tells connections apart. The address alone does not: the system gives one local port to
// connections that go to different places. (Binding it first would prevent that, but costs the port for a minute after
// the connection ended, and some ten thousand connections later no listener finds one.)
type way struct{ proxy, from string }

// ClientOf is the client whose connection the proxy sees come from addr, "127.0.0.1:port", or saw, if it has closed
// since and no other has come from there. It is known before the connection's first byte passes; "" is none of the
// balancer's.
func (b *Balancer) ClientOf(proxy, addr string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.whose[way{proxy, addr}]
}

// alive returns the live connections that match, oldest first.
func (b *Balancer) alive(match func(*pinned) bool) []*pinned {
	b.mu.Lock()
	defer b.mu.Unlock()
	var found []*pinned
	for p := range b.live {
		if match(p) {
			found = append(found, p)
		}
	}
	slices.SortFunc(found, func(x, y *pinned) int { return cmp.Compare(x.n, y.n) })
	return found
}
