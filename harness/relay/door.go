package relay

import (
	"net"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
)

// doors is a listener whose connections have what is behind at hand: one that cannot be passed on is closed.
type doors struct {
	net.Listener
	relay *Relay
	open  chan net.Conn
}

func (d *doors) accept() {
	for {
		c, err := d.Listener.Accept()
		if err != nil {
			d.relay.cancel() // the listener was closed
			return
		}
		d.relay.work.Go(func() { d.admit(c) })
	}
}

// admit dials what is behind for a connection.
func (d *doors) admit(c net.Conn) {
	conn, err := d.relay.cfg.To(d.relay.ctx)
	if err != nil {
		_ = c.Close()
		return
	}
	here, there := &half{Conn: c}, &half{Conn: conn}
	cc, err := upstream(there, d.relay.cfg.Dial)
	if err != nil { // its options are wrong: they are the program's own
		panic(err)
	}
	here.addr = door{c.RemoteAddr(), cc}
	here.other = func() { d.relay.work.Go(func() { _ = cc.Close() }) } // it fails where it was closed
	there.other = func() { _ = c.Close() }
	cc.Connect()
	select {
	case d.open <- here:
	case <-d.relay.ctx.Done():
		_ = here.Close()
		_ = there.Close()
	}
}

// Accept is the next connection that can be passed on.
func (d *doors) Accept() (net.Conn, error) {
	select {
	case c := <-d.open:
		return c, nil
	case <-d.relay.ctx.Done():
		return nil, net.ErrClosed
	}
}

// half is one of two connections that end together.
type half struct {
	net.Conn
	addr  net.Addr // of the one who called
	once  sync.Once
	other func() // ends the other
}

func (h *half) Close() error {
	err := h.Conn.Close()
	h.once.Do(h.other)
	return err
}

func (h *half) RemoteAddr() net.Addr {
	if h.addr != nil {
		return h.addr
	}
	return h.Conn.RemoteAddr()
}

// door is an address that called, and how what it says is passed on.
type door struct {
	net.Addr
	up *grpc.ClientConn
}

// frame is a message as the bytes it came in.
type frame struct{ b []byte }

// codec passes messages on as they are.
type codec struct{}

func (codec) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.(*frame).b)}, nil
}

func (codec) Unmarshal(data mem.BufferSlice, v any) error {
	v.(*frame).b = data.Materialize()
	return nil
}

// Name is what the content is called on the wire.
func (codec) Name() string { return "proto" }
