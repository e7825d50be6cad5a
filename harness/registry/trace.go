package registry

import (
	"context"
	"sync"
	"time"

	"ghostroute/harness/goid"
	"ghostroute/harness/history"
)

// Read is one read of the registry that went over the wire, with its provenance.
type Read struct {
	Began        time.Duration  // on the history's clock
	Key, End     string         // the range that was asked for; End is empty where it was one key
	Service      string         // the service that was read, "" for ListServices
	Serializable bool           // as it was sent, after the read mode
	Via          string         // the proxy that answered, "" where a member did
	Source       history.Source // Hit, Miss or Member; "" where nothing was answered
	Revision     int64          // the revision the answer was true at
	Event        int            // the Seq of the proxy's history.Range; 0 where no proxy answered
	Found        int            // how many keys were answered
	Err          string
}

// Provenance writes into a where the read's answer came from.
func (r Read) Provenance(a *history.Resolve) {
	a.Via, a.Source, a.Revision, a.Range = r.Via, r.Source, r.Revision, r.Event
}

// call is what one goroutine does inside Trace.
type call struct {
	ctx   context.Context
	reads []Read
}

// calls are the goroutines inside Trace, and of each service the last read and the last that was answered.
type calls struct {
	mu     sync.Mutex
	now    map[goid.ID]*call
	last   map[string]Read
	filled map[string]Read
}

// Trace runs f and returns the reads that f made of r on the goroutine it was called on, in order: none, where a
// cache of go-micro's answered. Whatever f asks of r on that goroutine, writes included, ends when ctx does:
// go-micro's registry takes no context of its own, and some of its calls have no deadline (registry/etcd's
// KeepAliveOnce).
func (r *Registry) Trace(ctx context.Context, f func()) []Read {
	id, mine := goid.Current(), &call{ctx: ctx}

	r.calls.mu.Lock()
	outer := r.calls.now[id]
	r.calls.now[id] = mine
	r.calls.mu.Unlock()

	defer func() {
		r.calls.mu.Lock()
		defer r.calls.mu.Unlock()
		if outer == nil {
			delete(r.calls.now, id)
		} else {
			r.calls.now[id] = outer
		}
	}()
	f()
	return mine.reads
}

// LastRead is the last read of a service's keys (ListServices' read for "") that anything made through r, go-micro's
// own goroutines included, whether it was answered or failed. It is false where there was none.
func (r *Registry) LastRead(service string) (Read, bool) {
	r.calls.mu.Lock()
	defer r.calls.mu.Unlock()
	read, ok := r.calls.last[service]
	return read, ok
}

// LastAnswered is the last read, as LastRead has it, that did not fail: what a cache behind r was last filled from,
// unless a watch has changed it since. It is false where there was none.
func (r *Registry) LastAnswered(service string) (Read, bool) {
	r.calls.mu.Lock()
	defer r.calls.mu.Unlock()
	read, ok := r.calls.filled[service]
	return read, ok
}

// current is the call that the calling goroutine is in, nil where it is in none.
func (c *calls) current() *call {
	id := goid.Current()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now[id]
}

// add notes a read that the calling goroutine made inside mine, which may be nil.
func (c *calls) add(mine *call, read Read) {
	if mine != nil {
		mine.reads = append(mine.reads, read)
	}
	if read.End == "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last[read.Service] = read
	if read.Err == "" {
		c.filled[read.Service] = read
	}
}
