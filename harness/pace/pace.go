// Package pace has no more things under way at a time than the machine keeps up with, and knows when it did not.
//
// What is tried here mostly waits: for leases, for a cache to lapse, for elections. So more of it than there are cores
// may run at a time, but how much depends on what else the machine does: a number that is right on an idle machine has
// members lose elections and clients their deadlines beside a compiler. What tells is how much later than asked for a
// sleeping goroutine goes on: it waits for its turn as every other does.
package pace

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
)

const (
	tick   = 10 * time.Millisecond  // how long the goroutine that tells sleeps
	window = 250 * time.Millisecond // how often the limit is thought about
	kept   = 4 * time.Minute        // how long it is known how late a window was; longer than anything that is asked about

	// A mean lateness above slow has fewer begin, one below quick lets more. Each of the hundred times that an RPC's
	// goroutines wait for one another is as late.
	slow, quick = 3 * time.Millisecond, 1500 * time.Microsecond
)

// Pace is what those who share a machine's time share. Close it.
type Pace struct {
	least, most int

	mu      sync.Mutex
	limit   int
	running int
	resting int
	alone   bool   // what is under way has it all for itself
	waiting []turn // in the order that they came
	slept   []span // the last windows, oldest first

	stop context.CancelFunc
	done chan struct{}
}

// span is a window, and how late the latest of its ticks was.
type span struct {
	ended time.Time
	late  time.Duration
}

// turn is what waits to begin.
type turn struct {
	come chan struct{}
	rank rank
}

// rank says who goes first: what may be long, so that it is not what the end waits for; then what there is much of;
// then what is to be alone, for which all others end once and not each time.
type rank int

const (
	first rank = iota
	later
	alone
)

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

// Turn waits until one more may be under way. It is Begin, Later, or Alone.
type Turn func(ctx context.Context) (begun context.Context, end func(), err error)

// Begin waits until one more may be under way; end says that it no longer is. The error is why ctx ended. What is under
// way has the context that is returned, by which Rest knows it; what begins within it has its turn.
func (p *Pace) Begin(ctx context.Context) (begun context.Context, end func(), err error) {
	return p.begin(ctx, first)
}

// Later is Begin for what there is much of, and each is short: who waits to Begin goes first.
func (p *Pace) Later(ctx context.Context) (begun context.Context, end func(), err error) {
	return p.begin(ctx, later)
}

// Alone is Begin where nothing else may be under way, nor rest: it waits for what is, and for what waits to begin.
// What it is within gives its turn for it.
func (p *Pace) Alone(ctx context.Context) (begun context.Context, end func(), err error) {
	return p.begin(ctx, alone)
}

func (p *Pace) begin(ctx context.Context, rank rank) (begun context.Context, end func(), err error) {
	within, _ := ctx.Value(key{}).(has)
	if within.pace == p && (within.alone || rank != alone) {
		return ctx, func() {}, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	back := func() {}
	if within.pace == p {
		p.running--
		back = func() { p.running++ } // one too many, where another had its turn
	}
	mine := turn{make(chan struct{}), rank}
	p.waiting = append(p.waiting, mine)
	p.admit()
	p.mu.Unlock()
	select {
	case <-mine.come:
	case <-ctx.Done():
	}
	p.mu.Lock()
	if n := slices.Index(p.waiting, mine); n >= 0 { // ctx ended before its turn came
		p.waiting = slices.Delete(p.waiting, n, n+1)
		back()
		p.admit()
		return nil, nil, context.Cause(ctx)
	}
	return context.WithValue(ctx, key{}, has{p, rank == alone}), func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.running--
		p.alone = false // it was mine, or nobody's
		back()
		p.admit()
	}, nil
}

// key is that of what a context has.
type key struct{}

// has is the pace of what is under way, and whether nothing else is.
type has struct {
	pace  *Pace
	alone bool
}

// Rest waits, and has another begin meanwhile: what is under way and does nothing takes nobody's time. When the wait is
// over it goes on at once, though it may be one too many. Where ctx is of nothing that has begun, or of what is alone,
// it only waits.
func Rest(ctx context.Context, wait func()) {
	if has, ok := ctx.Value(key{}).(has); ok && !has.alone {
		has.pace.rests(1)
		defer has.pace.rests(-1)
	}
	wait()
}

// rests has so many more that were under way rest.
func (p *Pace) rests(more int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.resting, p.running = p.resting+more, p.running-more
	p.admit()
}

// admit gives those their turn who go first, and of those them who waited longest. The lock is held.
func (p *Pace) admit() {
	for len(p.waiting) > 0 && !p.alone && p.running < p.limit {
		next := slices.MinFunc(p.waiting, func(a, b turn) int { return cmp.Compare(a.rank, b.rank) })
		if next.rank == alone && p.running+p.resting > 0 {
			return
		}
		p.running++
		p.alone = next.rank == alone
		close(next.come)
		n := slices.Index(p.waiting, next)
		p.waiting = slices.Delete(p.waiting, n, n+1)
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
