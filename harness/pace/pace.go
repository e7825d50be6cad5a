// Package pace has no more things under way at a time than the machine keeps up with, and knows when it did not.
//
// What is tried here mostly waits: for leases, for a cache to lapse, for elections. So more of it than there are cores
// may run at a time, but how much depends on what else the machine does: a number that is right on an idle machine has
// members lose elections and clients their deadlines beside a compiler. What tells is how much later than asked for a
// sleeping goroutine goes on: it waits for its turn as every other does.
package pace

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	tick   = 10 * time.Millisecond  // how long the goroutine that tells sleeps
	window = 250 * time.Millisecond // how often the limit is thought about
	kept   = 4 * time.Minute        // how long it is known how late a window was; longer than anything that is asked about

	// A mean lateness above slow has fewer begin, one below quick lets more.
	slow, quick = 12 * time.Millisecond, 6 * time.Millisecond
)

// Pace is what those who share a machine's time share. Close it.
type Pace struct {
	least, most int

	mu      sync.Mutex
	limit   int
	running int
	waiting []chan struct{}
	slept   []span // the last windows, oldest first

	stop context.CancelFunc
	done chan struct{}
}

// span is a window, and how late the latest of its ticks was.
type span struct {
	ended time.Time
	late  time.Duration
}

// New lets between least and most be under way; at first it is least.
func New(least, most int) *Pace {
	least = max(1, min(least, most))
	ctx, stop := context.WithCancel(context.Background())
	p := &Pace{least: least, most: max(least, most), limit: least, stop: stop, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		p.measure(ctx)
	}()
	return p
}

// Close ends it. Who waits to begin, waits until its own context ends.
func (p *Pace) Close() {
	p.stop()
	<-p.done
}

// Begin waits until one more may be under way; end says that it no longer is. The error is why ctx ended. What is under
// way has the context that is returned, by which Rest knows it.
func (p *Pace) Begin(ctx context.Context) (begun context.Context, end func(), err error) {
	begun = context.WithValue(ctx, key{}, p)
	p.mu.Lock()
	if p.running < p.limit && len(p.waiting) == 0 {
		p.running++
		p.mu.Unlock()
		return begun, p.end, nil
	}
	turn := make(chan struct{})
	p.waiting = append(p.waiting, turn)
	p.mu.Unlock()
	select {
	case <-turn:
		return begun, p.end, nil
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := slices.Index(p.waiting, turn); n >= 0 {
		p.waiting = slices.Delete(p.waiting, n, n+1)
	} else { // its turn has come meanwhile
		p.running--
		p.admit()
	}
	return nil, nil, context.Cause(ctx)
}

// key is that of a context's Pace.
type key struct{}

// Rest waits, and has another begin meanwhile: what is under way and does nothing takes nobody's time. When the wait is
// over it goes on at once. Where ctx is of nothing that has begun, it only waits.
func Rest(ctx context.Context, wait func()) {
	if p, ok := ctx.Value(key{}).(*Pace); ok {
		p.end()
		defer p.again()
	}
	wait()
}

// again has one more be under way, though it may be one too many.
func (p *Pace) again() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running++
}

func (p *Pace) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running--
	p.admit()
}

// admit gives those their turn who waited longest. The lock is held.
func (p *Pace) admit() {
	for p.running < p.limit && len(p.waiting) > 0 {
		p.running++
		close(p.waiting[0])
		p.waiting = p.waiting[1:]
	}
}

// Limit is how many may be under way now.
func (p *Pace) Limit() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.limit
}

// Stood is the longest that a goroutine that was ready to go on has waited for its turn since then.
func (p *Pace) Stood(since time.Time) (longest time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range slices.Backward(p.slept) {
		if s.ended.Before(since) {
			break
		}
		longest = max(longest, s.late)
	}
	return longest
}

func (p *Pace) measure(ctx context.Context) {
	began, n := time.Now(), 0
	var sum, worst time.Duration
	for {
		asked := time.Now().Add(tick)
		select {
		case <-ctx.Done():
			return
		case <-time.After(tick):
		}
		now := time.Now()
		late := now.Sub(asked)
		sum, worst, n = sum+late, max(worst, late), n+1
		if now.Sub(began) < window {
			continue
		}
		p.think(now, sum/time.Duration(n), worst)
		began, n, sum, worst = now, 0, 0, 0
	}
}

// think is what a window's mean and worst lateness come to: an eighth more or fewer. More only while as many as may are
// under way, fewer only when what is too many already has ended.
func (p *Pace) think(now time.Time, mean, worst time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.slept = append(p.slept, span{now, worst})
	for p.slept[0].ended.Before(now.Add(-kept)) {
		p.slept = p.slept[1:]
	}
	switch {
	case mean > slow && p.running <= p.limit:
		p.limit = max(p.least, p.limit-max(1, p.limit/8))
	case mean < quick && p.running >= p.limit:
		p.limit = min(p.most, p.limit+max(1, p.limit/8))
		p.admit()
	}
}
