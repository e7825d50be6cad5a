package proxy

import (
	"net"
	"strconv"
	"sync"
	"time"

	"go.etcd.io/etcd/server/v3/proxy/tcpproxy"
)

// L4 is `etcd gateway`: a TCP relay with a list of members, no cache, no coalescing, no idea of what it carries.
func L4() Variant {
	return Variant{
		Name:   "l4-gateway",
		Source: "etcd gateway (server/proxy/tcpproxy)",
		Claim:  "clients need not know the members, and every read is a member's own",
		Relays: true,
		serve:  serveL4,
	}
}

func serveL4(p *Proxy, r *running) error {
	l, err := p.port.Listen()
	if err != nil {
		return err
	}
	accepts := &firstAccept{Listener: l, began: make(chan struct{})}
	// etcd gateway's --retry-delay
	tp := &tcpproxy.TCPProxy{Logger: p.cfg.Logger, Listener: accepts, MonitorInterval: time.Minute}
	for _, addr := range p.endpoints() {
		host, number, err := net.SplitHostPort(addr)
		if err != nil {
			return err
		}
		n, err := strconv.ParseUint(number, 10, 16)
		if err != nil {
			return err
		}
		tp.Endpoints = append(tp.Endpoints, &net.SRV{Target: host, Port: uint16(n)})
	}
	r.serve = tp.Run
	r.stop = func() {
		<-accepts.began // Run makes what Stop closes before it accepts; earlier, Stop would race with it
		tp.Stop()
		// Its relaying goroutines end with their connections; the links are what can end those.
		for _, l := range p.links {
			l.Drop()
		}
	}
	return nil
}

// firstAccept says when its listener was first asked for a connection.
type firstAccept struct {
	net.Listener
	once  sync.Once
	began chan struct{}
}

func (l *firstAccept) Accept() (net.Conn, error) {
	l.once.Do(func() { close(l.began) })
	return l.Listener.Accept()
}
