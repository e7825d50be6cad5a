package relay

import (
	"context"
	"encoding/binary"
	"errors"
	"net/url"
	"slices"
	"strconv"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Call is an RPC on its way. Config.Open may set what is below From; nil does nothing. What it sets is called as the
// call goes on, one at a time for a direction and in order, and must not block: what is to wait returns a Wait.
type Call struct {
	Method string // "/etcdserverpb.KV/Range"
	From   string // the address that called

	Refuse error                     // it is not passed on, and this is its caller's answer; nothing else is called
	Up     func(message []byte) Wait // a message to what is behind, before it is passed on
	Answer func() Wait               // the first word of an answer, before it is passed on
	Down   func(message []byte) Wait // a message to who called, before it is passed on
	// Ended is told that the call is over, and that its caller is told err, nil for OK. It returns what goes with that, by
	// pairs of a name and a value, where the caller still listens.
	Ended func(err error) (trailer []string)

	pair    *pair
	number  uint32 // of its stream
	headers []hpack.HeaderField
	up      lane // to what is behind
	down    lane // to who called
	begun   bool // who called was told something
	over    bool
	ctx     context.Context // ends with the call; there is none before something waits
	cancel  context.CancelFunc
}

// Wait waits until what is held may go on. Its error ends the call, and is the caller's; ctx ends with the call.
type Wait func(ctx context.Context) error

// Get is what goes with the request under a name, "" where nothing does.
func (c *Call) Get(name string) string {
	for _, f := range c.headers {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// Set has a value go with the request under a name, and with "" nothing.
func (c *Call) Set(name, value string) {
	c.headers = slices.DeleteFunc(c.headers, func(f hpack.HeaderField) bool { return f.Name == name })
	if value != "" {
		c.headers = append(c.headers, hpack.HeaderField{Name: name, Value: value})
	}
}

// lane is one of the two directions of a call.
type lane struct {
	to    *end
	see   func([]byte) Wait
	part  []byte // of a message, so far
	held  bool
	queue []piece // behind what is held
	ended bool
}

// piece is a part of a call that is passed on as a whole: fields, or data with the end of at most one message.
type piece struct {
	fields  []hpack.HeaderField
	data    []byte
	message []byte // that ends with it, nil where none does
	last    bool   // of its lane
}

// comes has a piece go its way, behind what is held. The pair's lock is held, here and below.
func (c *Call) comes(l *lane, b piece) error {
	if !l.held {
		wait := c.meets(l, b)
		if wait == nil {
			return c.passes(l, b)
		}
		c.hold(l, wait)
	}
	b.data = slices.Clone(b.data)
	l.queue = append(l.queue, b)
	return nil
}

// meets is what a piece must wait for, nil where it may go on.
func (c *Call) meets(l *lane, b piece) Wait {
	switch {
	case b.fields != nil && l == &c.down && !c.begun && c.Answer != nil:
		return c.Answer()
	case b.message != nil:
		return l.see(b.message)
	}
	return nil
}

// hold lets the first piece of a lane's queue go on when it may, and what came behind it.
func (c *Call) hold(l *lane, wait Wait) {
	l.held = true
	if c.ctx == nil {
		c.ctx, c.cancel = context.WithCancel(context.Background())
	}
	ctx := c.ctx
	c.pair.waits.Go(func() {
		failed := wait(ctx)
		c.pair.mu.Lock()
		defer c.pair.mu.Unlock()
		if c.over {
			return
		}
		err := c.goesOn(l, failed)
		if err != nil || c.pair.flush() != nil {
			c.pair.close()
		}
	})
}

func (c *Call) goesOn(l *lane, failed error) error {
	if failed != nil {
		return c.fail(failed)
	}
	l.held = false
	for may := true; len(l.queue) > 0; may = false {
		b := l.queue[0]
		if !may {
			if wait := c.meets(l, b); wait != nil {
				c.hold(l, wait)
				return nil
			}
		}
		l.queue = l.queue[1:]
		if err := c.passes(l, b); err != nil {
			return err
		}
	}
	return nil
}

// passes passes a piece on.
func (c *Call) passes(l *lane, b piece) error {
	var err error
	switch {
	case b.fields == nil:
		err = l.to.framer.WriteData(c.number, b.last, b.data)
	case l == &c.down && b.last:
		err = l.to.head(c.number, append(b.fields, c.ends(told(b.fields))...), true)
	default:
		err = l.to.head(c.number, b.fields, b.last)
	}
	if l == &c.down {
		c.begun = true
	}
	if l.ended = l.ended || b.last; c.up.ended && c.down.ended {
		c.forget(nil)
	}
	return err
}

// ends tells the owner that the call is over, and returns what goes with that.
func (c *Call) ends(err error) (trailer []hpack.HeaderField) {
	if c.Ended == nil {
		return nil
	}
	pairs := c.Ended(err)
	c.Ended = nil
	for i := 0; i+1 < len(pairs); i += 2 {
		trailer = append(trailer, hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]})
	}
	return trailer
}

// fail ends the call with an error of the owner's.
func (c *Call) fail(failed error) error {
	err := c.tell(failed)
	if !c.up.ended || !c.down.ended {
		err = errors.Join(err, c.up.to.framer.WriteRSTStream(c.number, http2.ErrCodeCancel))
	}
	c.forget(failed)
	return err
}

// tell has the caller be told an error, as the end of the call.
func (c *Call) tell(failed error) error {
	s := status.Convert(failed)
	fields := []hpack.HeaderField{{Name: "grpc-status", Value: strconv.Itoa(int(s.Code()))},
		{Name: "grpc-message", Value: url.PathEscape(s.Message())}}
	if !c.begun {
		fields = append([]hpack.HeaderField{{Name: ":status", Value: "200"},
			{Name: "content-type", Value: "application/grpc"}}, fields...)
	}
	err := c.down.to.head(c.number, append(fields, c.ends(failed)...), true)
	if err == nil && !c.up.ended {
		err = c.down.to.framer.WriteRSTStream(c.number, http2.ErrCodeNo)
	}
	return err
}

// told is what the end of an answer says, nil for OK.
func told(fields []hpack.HeaderField) error {
	code, message := codes.Unknown, ""
	for _, f := range fields {
		switch f.Name {
		case "grpc-status":
			n, _ := strconv.ParseUint(f.Value, 10, 32)
			code = codes.Code(n)
		case "grpc-message":
			message, _ = url.PathUnescape(f.Value)
		}
	}
	return status.Error(code, message)
}

// forget ends what the relay knows of a call. What is held of it is lost, and its sender has its window back. err is
// why it is over, where its owner has not been told.
func (c *Call) forget(err error) {
	c.over = true
	delete(c.pair.calls, c.number)
	for _, l := range []*lane{&c.up, &c.down} {
		for _, b := range l.queue {
			_ = l.to.other.credit(len(b.data)) // where that fails the connection does
		}
		l.queue = nil
	}
	if c.cancel != nil {
		c.cancel()
	}
	c.ends(err)
}

// prefix is what stands before each message: whether it is compressed, and its length.
const prefix = 5

// cut cuts data after the end of each message, where the owner sees them: what is held leaves what is before it alone.
func (l *lane) cut(data []byte, last bool) (pieces []piece) {
	for l.see != nil && len(data) > 0 {
		l.part = append(l.part, data...)
		if len(l.part) < prefix {
			break
		}
		whole := prefix + int(binary.BigEndian.Uint32(l.part[1:prefix]))
		left := len(l.part) - whole
		if left < 0 {
			break
		}
		b := piece{data: data[:len(data)-left]}
		if l.part[0] == 0 {
			b.message = l.part[prefix:whole:whole]
		}
		l.part, data = nil, data[len(data)-left:]
		pieces = append(pieces, b)
	}
	if len(data) > 0 || len(pieces) == 0 {
		pieces = append(pieces, piece{data: data})
	}
	pieces[len(pieces)-1].last = last
	return pieces
}

// complete says whether all of a lane has come, and some of it is held.
func (l *lane) complete() bool { return len(l.queue) > 0 && l.queue[len(l.queue)-1].last }
