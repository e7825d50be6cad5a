package link

import (
	"slices"
	"sync"
	"time"
)

// queue is what a lane has read and must deliver later. Its goroutine begins with the first delayed chunk, so that a
// link that was never slow has none. It has no bound: a slow link has no limited rate.
type queue struct {
	wg sync.WaitGroup

	mu      sync.Mutex // guards what follows
	chunks  []chunk    // those not yet delivered, the one being delivered first
	running bool
}

// empty says whether everything pushed so far is delivered. Only the lane's reader pushes: what it finds empty stays
// so.
func (q *queue) empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.chunks) == 0
}

// push appends a copy of c and has n deliver it in time.
func (q *queue) push(n *lane, c chunk) {
	c.arrived, c.data = time.Now(), slices.Clone(c.data)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.chunks = append(q.chunks, c)
	if !q.running {
		q.running = true
		q.wg.Go(func() { q.drain(n) })
	}
}

// drain delivers what is queued, each chunk when it is due, until nothing is left.
func (q *queue) drain(n *lane) {
	for {
		q.mu.Lock()
		if len(q.chunks) == 0 {
			q.running = false
			q.mu.Unlock()
			return
		}
		c := q.chunks[0]
		q.mu.Unlock()
		if n.due(c.arrived) {
			n.deliver(c)
		}
		q.mu.Lock()
		q.chunks[0] = chunk{} // release its data
		q.chunks = q.chunks[1:]
		q.mu.Unlock()
	}
}

// wait returns when the queue is empty and its goroutine gone. Only the goroutine that pushes may call it.
func (q *queue) wait() { q.wg.Wait() }

// due waits until what arrived then is due under the faults of the moment. It is false if the pair was reset meanwhile.
func (n *lane) due(arrived time.Time) bool {
	for {
		f := n.pair.link.faults.Load()
		left := time.Until(arrived.Add(f.delay))
		if left <= 0 {
			return true
		}
		timer := time.NewTimer(left)
		select {
		case <-timer.C:
		case <-f.replaced: // look again: the delay may have changed
		case <-n.pair.done:
			timer.Stop()
			return false
		}
		timer.Stop()
	}
}
