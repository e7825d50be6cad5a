package history

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

// History is an append-only list of events. It is safe for use by many goroutines. The zero value is not usable: see
// New.
type History struct {
	began time.Time

	mu       sync.Mutex
	events   []Event
	grown    chan struct{} // closed and replaced whenever events grows
	follower []func(Event)
}

// New returns an empty history whose clock starts now.
func New() *History {
	return &History{began: time.Now(), grown: make(chan struct{})}
}

// Now is the time on the history's clock: monotonic, since New.
func (h *History) Now() time.Duration { return time.Since(h.began) }

// Add appends e, giving it its place and time, and returns it as it stands in the history. Followers have seen it
// when Add returns.
func (h *History) Add(e Event) Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	e.Seq = len(h.events) + 1
	e.At = h.Now()
	h.events = append(h.events, e)
	close(h.grown)
	h.grown = make(chan struct{})
	for _, f := range h.follower {
		f(e)
	}
	return e
}

// Follow calls f for each event from now on, in order, one at a time. f must be quick and must not call the history.
func (h *History) Follow(f func(Event)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.follower = append(h.follower, f)
}

// Event is the event of that Seq. There must be one: Add has returned it.
func (h *History) Event(seq int) Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.events[seq-1]
}

// Find returns the event of that Seq out of events in order of Seq, some of which may be missing.
func Find(events []Event, seq int) (Event, bool) {
	i, found := slices.BinarySearchFunc(events, seq, func(e Event, seq int) int { return e.Seq - seq })
	if !found {
		return Event{}, false
	}
	return events[i], true
}

// Len is how many events there are; Since(Len()) is what comes after.
func (h *History) Len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.events)
}

// Events returns all events so far. The slice is the caller's; the payloads are shared and must not be changed.
func (h *History) Events() []Event { return h.Since(0) }

// Since returns the events after the first n.
func (h *History) Since(n int) []Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n > len(h.events) {
		n = len(h.events)
	}
	return append([]Event(nil), h.events[n:]...)
}

// Wait returns the first event after the first n for which match holds, waiting for it until ctx ends.
func (h *History) Wait(ctx context.Context, n int, match func(Event) bool) (Event, error) {
	for {
		h.mu.Lock()
		fresh, grown := h.events[min(n, len(h.events)):len(h.events):len(h.events)], h.grown
		h.mu.Unlock()
		for _, e := range fresh {
			if match(e) {
				return e, nil
			}
		}
		n += len(fresh)
		select {
		case <-grown:
		case <-ctx.Done():
			return Event{}, fmt.Errorf("no such event among %d: %w", n, context.Cause(ctx))
		}
	}
}

// WriteTo writes the history as JSON lines.
func (h *History) WriteTo(w io.Writer) (int64, error) { return Encode(w, h.Events()) }

// Encode writes events as JSON lines.
func Encode(w io.Writer, events []Event) (int64, error) {
	var n int64
	for _, e := range events {
		line, err := json.Marshal(e)
		if err != nil {
			return n, fmt.Errorf("event %d: %w", e.Seq, err)
		}
		m, err := w.Write(append(line, '\n'))
		n += int64(m)
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// Decode reads what Encode wrote. A line that is no event, or that the file ends in the middle of, is an error that
// names the line.
func Decode(r io.Reader) ([]Event, error) {
	var events []Event
	lines := bufio.NewReader(r)
	for n := 1; ; n++ {
		line, end := lines.ReadBytes('\n')
		if end == io.EOF && len(line) == 0 {
			return events, nil
		}
		if end != nil && end != io.EOF {
			return events, end
		}
		var e Event
		if err := json.Unmarshal(line, &e); err != nil {
			if end == io.EOF {
				err = fmt.Errorf("the file ends in the middle of it")
			}
			return events, fmt.Errorf("line %d is no event: %w", n, err)
		}
		events = append(events, e)
	}
}
