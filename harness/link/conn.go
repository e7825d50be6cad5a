package link

import (
	"cmp"
	"net"
	"slices"
	"sync"
	"sync/atomic"
)

// Conn is one established connection through a link, as it stood when it was asked for.
type Conn struct {
	ID   int    // its ordinal among the connections the link took, from 1
	From string // the address that dialled the link
	// where the target sees the connection come from; "" until the target is dialled, or never in a black hole
	Local  string
	Remote string // the target's address; "" as Local is
	Up     int64  // bytes delivered to the target
	Down   int64  // bytes delivered to the side that dialled
}

// Conns returns the established connections, oldest first.
func (l *Link) Conns() []Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	conns := make([]Conn, 0, len(l.pairs))
	for _, p := range l.pairs {
		conns = append(conns, p.conn())
	}
	slices.SortFunc(conns, func(a, b Conn) int { return cmp.Compare(a.ID, b.ID) })
	return conns
}

// pair is a connection that the link took and the one it dialled for it.
type pair struct {
	link     *Link
	id       int
	client   net.Conn
	up, down lane
	lost     atomic.Bool   // a black hole ate something of it
	done     chan struct{} // closed once it is reset
	once     sync.Once     // for reset

	mu       sync.Mutex // guards what follows
	over     bool
	upstream net.Conn // nil until dialled
}

func newPair(l *Link, id int, client net.Conn) *pair {
	p := &pair{link: l, id: id, client: client, done: make(chan struct{})}
	p.up = lane{pair: p, dir: Up}
	p.down = lane{pair: p, dir: Down}
	return p
}

// relay carries bytes both ways between the client and upstream until both ways have ended or the pair is reset.
func (p *pair) relay(upstream net.Conn) {
	p.mu.Lock()
	over := p.over
	if !over {
		p.upstream = upstream
	}
	p.mu.Unlock()
	if over {
		reset(upstream)
		return
	}
	var lanes sync.WaitGroup
	lanes.Go(func() { p.down.run(upstream, p.client) })
	p.up.run(p.client, upstream)
	lanes.Wait()
	p.link.forget(p)
	_ = p.client.Close()
	_ = upstream.Close()
}

// swallow is a connection's whole life in a black hole: its bytes are read and dropped, until it ends or is reset.
func (p *pair) swallow() {
	var err error
	for buf, k := make([]byte, smallest), 0; err == nil; k, err = p.client.Read(buf) {
		p.eaten(k)
	}
	p.link.forget(p)
	_ = p.client.Close()
}

// eaten marks the pair as one that lost n bytes, or its beginning or end, to a black hole. The look back at the faults
// closes a race: either Mend sees the mark, or this sees that the hole was mended meanwhile.
func (p *pair) eaten(n int) {
	p.link.swallowed.Add(int64(n))
	p.lost.Store(true)
	if p.link.faults.Load().hole == 0 {
		p.reset()
	}
}

// reset ends the pair the hard way, once. When it returns both sockets are closed. Here as elsewhere the link forgets
// the pair first: what sees the upstream close, as a balancer does, must not find it among the link's connections.
func (p *pair) reset() {
	p.once.Do(func() {
		p.link.forget(p)
		p.mu.Lock()
		p.over = true
		upstream := p.upstream
		p.mu.Unlock()
		close(p.done)
		reset(p.client)
		if upstream != nil {
			reset(upstream)
		}
	})
}

// conn is the pair for the public.
func (p *pair) conn() Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := Conn{ID: p.id, From: p.client.RemoteAddr().String(), Up: p.up.passed.Load(), Down: p.down.passed.Load()}
	if p.upstream != nil {
		c.Local, c.Remote = p.upstream.LocalAddr().String(), p.upstream.RemoteAddr().String()
	}
	return c
}

// reset closes conn so that its peer sees RST where the network has one, and no port is left in TIME_WAIT.
func reset(conn net.Conn) {
	if tcp, ok := conn.(interface{ SetLinger(sec int) error }); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
