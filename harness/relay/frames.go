package relay

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"slices"
	"sync"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// pair is a connection and the one that it is passed on by.
type pair struct {
	cfg      *Config
	down, up *end // who called, and what is behind
	waits    sync.WaitGroup

	mu      sync.Mutex
	calls   map[uint32]*Call // under way, by their stream's number
	last    uint32           // the highest number that there was
	drained bool
}

// end is one of a pair's connections.
type end struct {
	net.Conn
	other *end

	in     *bufio.Reader
	frame  []byte         // the last one's payload
	decode *hpack.Decoder // of what comes

	out    *bufio.Writer
	framer *http2.Framer // writes to out
	block  bytes.Buffer
	encode *hpack.Encoder // to block
}

// What an end keeps before it reads on or writes: a frame is 16 KB at most, unless both agree to more.
const buffered = 16 << 10

func newEnd(c net.Conn) *end {
	e := &end{Conn: c, in: bufio.NewReaderSize(c, buffered), out: bufio.NewWriterSize(c, buffered),
		decode: hpack.NewDecoder(headerTable, nil)}
	e.framer = http2.NewFramer(e.out, nil)
	e.encode = hpack.NewEncoder(&e.block)
	e.encode.SetMaxDynamicTableSize(0) // then it needs to know nothing of what the other can keep
	return e
}

func newPair(cfg *Config, down, up net.Conn) *pair {
	p := &pair{cfg: cfg, down: newEnd(down), up: newEnd(up), calls: map[uint32]*Call{}}
	p.down.other, p.up.other = p.up, p.down
	return p
}

// run passes on what comes, both ways, until one of the connections ends, and then ends the other.
func (p *pair) run() {
	var both sync.WaitGroup
	for _, from := range []*end{p.down, p.up} {
		both.Go(func() {
			defer p.close()
			if from == p.down && p.greet() != nil {
				return
			}
			for p.carry(from) == nil {
			}
		})
	}
	both.Wait()
	p.mu.Lock()
	for _, c := range p.calls {
		c.forget(status.Error(codes.Unavailable, "the connection has ended"))
	}
	p.mu.Unlock()
	p.waits.Wait()
}

// greet passes on what stands before a client's first frame.
func (p *pair) greet() error {
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(p.down.in, preface); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_, err := p.up.out.Write(preface)
	return err
}

func (p *pair) close() {
	_ = p.down.Close() // it fails where it was closed
	_ = p.up.Close()
}

func (p *pair) drain() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drained = true
	if p.down.framer.WriteGoAway(p.last, http2.ErrCodeNo, nil) != nil || p.flush() != nil {
		p.close()
	}
}

// carry reads a frame, and passes it on.
func (p *pair) carry(from *end) error {
	h, payload, err := p.read(from)
	if err != nil {
		return err
	}
	var fields []hpack.HeaderField
	if h.Type == http2.FrameHeaders {
		if fields, err = p.fields(from, h, payload); err != nil {
			return err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pass(from, h, payload, fields)
}

// read reads a frame. Nothing that was passed on waits meanwhile.
func (p *pair) read(from *end) (h http2.FrameHeader, payload []byte, err error) {
	const header = 9
	if err := p.before(from, header); err != nil {
		return h, nil, err
	}
	if h, err = http2.ReadFrameHeader(from.in); err != nil {
		return h, nil, err
	}
	if err := p.before(from, int(h.Length)); err != nil {
		return h, nil, err
	}
	from.frame = slices.Grow(from.frame[:0], int(h.Length))[:h.Length]
	_, err = io.ReadFull(from.in, from.frame)
	return h, from.frame, err
}

// before is before so many bytes are read.
func (p *pair) before(from *end, n int) error {
	if from.in.Buffered() >= n {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.flush()
}

func (p *pair) flush() error { return errors.Join(p.down.out.Flush(), p.up.out.Flush()) }

var errFrame = errors.New("a frame is not as HTTP/2 has it")

// fields reads the rest of a header block, and what is in it.
func (p *pair) fields(from *end, h http2.FrameHeader, payload []byte) ([]hpack.HeaderField, error) {
	payload, err := unpadded(h, payload)
	if err != nil {
		return nil, err
	}
	if h.Flags.Has(http2.FlagHeadersPriority) {
		if len(payload) < 5 {
			return nil, errFrame
		}
		payload = payload[5:]
	}
	block := payload
	for !h.Flags.Has(http2.FlagHeadersEndHeaders) { // a continuation has the same flag
		block = slices.Clone(block) // the next frame takes its place
		next, more, err := p.read(from)
		if err != nil {
			return nil, err
		}
		if next.Type != http2.FrameContinuation || next.StreamID != h.StreamID {
			return nil, errFrame
		}
		h.Flags |= next.Flags & http2.FlagContinuationEndHeaders
		block = append(block, more...)
	}
	return from.decode.DecodeFull(block)
}

// unpadded is a frame's payload without what fills it up: headers and data have the same flag for that.
func unpadded(h http2.FrameHeader, payload []byte) ([]byte, error) {
	if !h.Flags.Has(http2.FlagDataPadded) {
		return payload, nil
	}
	if len(payload) == 0 || int(payload[0]) >= len(payload) {
		return nil, errFrame
	}
	return payload[1 : len(payload)-int(payload[0])], nil
}

// pass passes a frame on. The lock is held, here and below.
func (p *pair) pass(from *end, h http2.FrameHeader, payload []byte, fields []hpack.HeaderField) error {
	c := p.calls[h.StreamID]
	switch {
	case h.Type == http2.FrameHeaders:
		return p.headers(from, c, h, fields)
	case h.Type == http2.FrameSettings && !h.Flags.Has(http2.FlagSettingsAck):
		return from.other.framer.WriteRawFrame(h.Type, h.Flags, 0, withoutTable(payload))
	case h.Type == http2.FramePing && len(payload) == 8 && !h.Flags.Has(http2.FlagPingAck):
		// A server of gRPC counts the pings that come while it sends nothing, and what it sent may be held here.
		return from.framer.WritePing(true, [8]byte(payload))
	case h.StreamID == 0:
		return from.other.framer.WriteRawFrame(h.Type, h.Flags, 0, payload)
	case c == nil && h.Type == http2.FrameData:
		return from.credit(len(payload))
	case c == nil: // it was not passed on, or is over
		return nil
	case h.Type == http2.FrameData:
		return p.data(from, c, h, payload)
	case h.Type == http2.FrameRSTStream:
		if from == p.up && c.down.complete() {
			return nil // an answer that is held ended before its request did
		}
		c.forget(status.Error(codes.Canceled, "the call was given up"))
	}
	return from.other.framer.WriteRawFrame(h.Type, h.Flags, h.StreamID, payload)
}

// headers begins a call or an answer, or ends one.
func (p *pair) headers(from *end, c *Call, h http2.FrameHeader, fields []hpack.HeaderField) error {
	b := piece{fields: fields, last: h.Flags.Has(http2.FlagHeadersEndStream)}
	switch {
	case c != nil && from == p.up:
		return c.comes(&c.down, b)
	case c != nil:
		return c.comes(&c.up, b)
	case from == p.up || h.StreamID <= p.last: // it is over
		return nil
	}
	p.last = h.StreamID
	if p.drained {
		return p.down.framer.WriteRSTStream(h.StreamID, http2.ErrCodeRefusedStream)
	}
	c = &Call{From: p.down.RemoteAddr().String(), pair: p, number: h.StreamID, headers: fields,
		up: lane{to: p.up}, down: lane{to: p.down}}
	for i, f := range fields {
		switch {
		case f.Name == ":path":
			c.Method = f.Value
		case f.Name == ":authority" && p.cfg.Authority != "":
			fields[i].Value = p.cfg.Authority
		case f.Name == ":scheme" && p.cfg.Secure != nil:
			fields[i].Value = "https"
		}
	}
	if p.cfg.Open != nil {
		p.cfg.Open(c)
	}
	if c.Refuse != nil {
		c.Ended, c.up.ended = nil, b.last
		return c.tell(c.Refuse)
	}
	c.up.see, c.down.see = c.Up, c.Down
	p.calls[h.StreamID] = c
	b.fields = c.headers
	return c.comes(&c.up, b)
}

func (p *pair) data(from *end, c *Call, h http2.FrameHeader, payload []byte) error {
	data, err := unpadded(h, payload)
	if err != nil {
		return err
	}
	if filled := len(payload) - len(data); filled > 0 { // what is not passed on is received here
		if err := errors.Join(from.credit(filled), from.framer.WriteWindowUpdate(h.StreamID, uint32(filled))); err != nil {
			return err
		}
	}
	l := &c.up
	if from == p.up {
		l = &c.down
	}
	for _, b := range l.cut(data, h.Flags.Has(http2.FlagDataEndStream)) {
		if err := c.comes(l, b); err != nil {
			return err
		}
	}
	return nil
}

// headerTable is how much of what it was told an end of HTTP/2 keeps, unless it says otherwise (RFC 7541, 4.2).
const headerTable = 4096

// withoutTable is settings but for the size of that table: each end has a relay's for its counterpart.
func withoutTable(settings []byte) []byte {
	const each = 6
	left := slices.Clone(settings)
	for i := 0; i+each <= len(left); {
		if left[i] == 0 && left[i+1] == byte(http2.SettingHeaderTableSize) {
			left = slices.Delete(left, i, i+each)
			continue
		}
		i += each
	}
	return left
}

// head writes fields.
func (e *end) head(number uint32, fields []hpack.HeaderField, last bool) error {
	e.block.Reset()
	for _, f := range fields {
		if err := e.encode.WriteField(f); err != nil {
			return err
		}
	}
	block := e.block.Bytes()
	first := min(len(block), buffered)
	err := e.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: number, BlockFragment: block[:first], EndStream: last,
		EndHeaders: first == len(block)})
	for block = block[first:]; err == nil && len(block) > 0; block = block[first:] {
		first = min(len(block), buffered)
		err = e.framer.WriteContinuation(number, first == len(block), block[:first])
	}
	return err
}

// credit gives who sends to this end so much of the connection's window back, for what is passed on to nobody.
func (e *end) credit(n int) error {
	if n == 0 {
		return nil
	}
	return e.framer.WriteWindowUpdate(0, uint32(n))
}
