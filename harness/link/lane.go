package link

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// chunkSize is how much a lane reads at once: HTTP/2's default frame. Two of these are a connection's whole memory; of
// most, whose calls are small, smallest.
const smallest, chunkSize = 2 << 10, 16 << 10

// lane is one direction of a pair.
type lane struct {
	pair     *pair
	dir      Direction
	src, dst net.Conn
	passed   atomic.Int64 // bytes delivered
	late     queue        // what is delayed
	// a black hole ate something: nothing may follow it, not even between Mend's mending and its resetting
	torn bool
}

// chunk is what one read of a lane's source gave: bytes, or the error that ended it.
type chunk struct {
	arrived time.Time // set only for a delayed chunk
	data    []byte
	err     error
}

// run carries the bytes of src to dst until src has ended and dst has been closed, or the pair is reset.
func (n *lane) run(src, dst net.Conn) {
	n.src, n.dst = src, dst
	defer n.late.wait()
	buf := make([]byte, smallest)
	for {
		k, err := src.Read(buf)
		if k > 0 {
			n.carry(chunk{data: buf[:k]})
		}
		if k == len(buf) && k < chunkSize {
			buf = make([]byte, chunkSize)
		}
		if err != nil {
			n.carry(chunk{err: err})
			return
		}
	}
}

// carry delivers c, now or later, by the faults.
func (n *lane) carry(c chunk) {
	if n.pair.link.faults.Load().delay == 0 && n.late.empty() {
		n.deliver(c)
		return
	}
	n.late.push(n, c)
}

// deliver tells dst, unless a black hole is in the way. A dst that cannot be told ends the pair, which ends the lane's
// reads.
func (n *lane) deliver(c chunk) {
	switch {
	case n.torn || n.pair.link.faults.Load().hole&n.dir != 0:
		n.torn = true
		n.pair.eaten(len(c.data))
		if c.err != nil {
			<-n.pair.done // src is gone and dst must not know: only a reset ends this
		}
	case c.err == nil:
		k, err := n.dst.Write(c.data)
		n.passed.Add(int64(k))
		if err != nil {
			n.pair.reset()
		}
	case errors.Is(c.err, io.EOF):
		closeWrite(n.dst)
	default:
		n.pair.reset() // a reset passes on as a reset
	}
}

// closeWrite passes an end of stream on; a connection that cannot be closed by halves is closed.
func closeWrite(conn net.Conn) {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // fails only where the connection is gone, which the other lane sees
		return
	}
	_ = conn.Close()
}
