package link

import (
	"fmt"
	"time"
)

// Direction is one way along a link, or both.
type Direction uint8

const (
	Up   Direction = 1 << iota // from the side that dialled to the target
	Down                       // from the target back
	Both = Up | Down
)

// String is the direction's word.
func (d Direction) String() string {
	switch d {
	case Up:
		return "up"
	case Down:
		return "down"
	case Both:
		return "both"
	}
	return fmt.Sprintf("direction %d", uint8(d))
}

// faults is what is wrong with a link just now. It is never changed, only replaced, so that each lane may look at it
// before each write without a lock.
type faults struct {
	cut      bool
	hole     Direction
	delay    time.Duration
	replaced chan struct{} // closed when these are no longer the link's faults
}

// set replaces the link's faults by what change makes of them.
func (l *Link) set(change func(*faults)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.faults.Load()
	next := *old
	next.replaced = make(chan struct{})
	change(&next)
	l.faults.Store(&next)
	close(old.replaced)
}

// SetDelay has each chunk in each direction delivered d after it arrived, in order and at no limited rate; what is on
// its way keeps to the new delay too. Connecting is not delayed. 0 ends it.
func (l *Link) SetDelay(d time.Duration) {
	l.set(func(f *faults) { f.delay = max(d, 0) })
}

// Cut resets the established connections, in both directions (RST, not FIN), and closes new ones at once, until Mend.
// When it returns none is established. It fails only on a closed link.
func (l *Link) Cut() error {
	l.set(func(f *faults) { f.cut = true })
	l.Drop()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return fmt.Errorf("link %s on %s cannot be cut: it is closed", l.name, l.Addr())
	}
	return nil
}

// Blackhole swallows every byte, and every FIN or RST, that goes the direction d from now on. Nothing is closed; new
// connections are taken, and swallowed without the target hearing of them. A second call adds its direction. Mend ends
// it.
func (l *Link) Blackhole(d Direction) {
	l.set(func(f *faults) { f.hole |= d & Both })
}

// Mend ends Cut, Blackhole and delay: what was delayed is delivered now, and a connection that lost something in a
// black hole is reset, because no TCP connection goes on with bytes missing. One that lost nothing lives on.
func (l *Link) Mend() {
	l.set(func(f *faults) { f.cut, f.hole, f.delay = false, 0, 0 })
	l.drop(func(p *pair) bool { return p.lost.Load() })
}

// Drop resets the established connections and returns how many there were. New ones are taken as before.
func (l *Link) Drop() int {
	return l.drop(func(*pair) bool { return true })
}

// DropIf resets the established connections that match and returns how many did.
func (l *Link) DropIf(match func(Conn) bool) int {
	return l.drop(func(p *pair) bool { return match(p.conn()) })
}

// Broken is what is wrong with the link now: Cut, Blackhole, Delay, or nothing.
func (l *Link) Broken() (cut, hole bool, delay time.Duration) {
	f := l.faults.Load()
	return f.cut, f.hole != 0, f.delay
}

// drop resets what matches. When it returns, the sockets are closed and no longer among the link's connections.
func (l *Link) drop(match func(*pair) bool) int {
	l.mu.Lock()
	var dropped []*pair
	for id, p := range l.pairs {
		if match(p) {
			dropped = append(dropped, p)
			delete(l.pairs, id)
		}
	}
	l.stats.Reset += len(dropped)
	l.mu.Unlock()
	for _, p := range dropped {
		p.reset()
	}
	return len(dropped)
}
