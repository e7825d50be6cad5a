package probe

import (
	"context"
	"fmt"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"ghostroute/harness/history"
	"ghostroute/harness/text"
)

const (
	// nobody is a token that no member has given out. With authentication on, a proxy answers it from its cache
	// (22065); what it has not cached is refused by a member, and what is refused is not filed: a look that costs
	// nothing. Members log it, so it says who asks.
	nobody = "ghostroute-probe"

	// inFlight is how many reads a proxy is asked at a time.
	inFlight = 32

	// most is how many reads that may file an answer a proxy is asked: half of what its cache holds
	// (cache/store.go, DefaultMaxEntries), for each may push out another.
	most = 1024
)

// asking is a round of reads at one proxy.
type asking struct {
	*node
	truth   *truth
	history *history.History // may be nil
	free    bool             // a look costs nothing: see nobody
	alone   bool             // one read at a time, with the metrics around it: what each filed is known

	last counts // where it is asked alone

	mu      sync.Mutex
	entries []*Entry
	planted []ask    // reads that filed an answer
	there   []*Entry // answers that were there before, or may have been
	failed  error    // once it was silent it is asked no more
	asked   int
}

// all asks each, and returns when all are answered.
func (p *asking) all(ctx context.Context, asks []ask, tell func()) {
	if !p.free && p.asked+len(asks) > most {
		p.row.Note("%d of %d reads were left out: each may file an answer and push out another", p.asked+len(asks)-most,
			p.asked+len(asks))
		asks = asks[:most-p.asked]
	}
	p.asked += len(asks)
	workers := min(inFlight, len(asks))
	switch {
	case p.alone:
		workers = min(1, len(asks))
	case p.cut:
		workers = len(asks) // what is not cached is not answered: all of them wait for one time limit
	}
	next := make(chan ask)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for a := range next {
				p.one(ctx, a)
				tell()
			}
		})
	}
	for _, a := range asks {
		next <- a
	}
	close(next)
	wg.Wait()
}

func (p *asking) one(ctx context.Context, a ask) {
	p.mu.Lock()
	over := p.failed != nil && !p.cut
	p.mu.Unlock()
	if over || p.complete() || ctx.Err() != nil {
		return
	}
	source, began := "", p.now()
	resp, err := p.look(ctx, a.req)
	if p.alone {
		after, failed := p.gauge.read(ctx)
		if failed != nil {
			p.fail(failed)
			return
		}
		source, p.last = told(p.last, after), after
	}
	if p.free && err == nil {
		source = Hit
	}
	switch {
	case err == nil:
	case refused(err), p.cut && silent(err):
		return // it is not cached
	default:
		p.fail(err)
		return
	}
	e := &Entry{Endpoint: p.addr, Calls: a.calls, Service: a.service, Key: Key(a.key()), End: Key(a.end()), Source: source,
		ask: a}
	p.truth.judge(ctx, p.node, a, resp, e)
	if source == Miss && e.Verdict != Fresh && e.Why == "" {
		e.Why = "a member that lags behind answered it, and this read filed it"
	}
	p.save(began, a, resp, e)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.entries = append(p.entries, e)
	switch source {
	case Miss:
		p.planted = append(p.planted, a)
	default:
		p.there = append(p.there, e) // where nobody can tell, it is left alone
	}
}

// complete is whether all that the proxy had cached when it was first asked has been found.
func (p *asking) complete() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.free && p.gauge != nil && int64(len(p.entries)) >= p.before.entries
}

// trust forgets the metrics where they are of another proxy than the one that is asked, as behind a balancer: a read
// that is refused for want of a key is counted as a miss, and not filed.
func (p *asking) trust(ctx context.Context) {
	const some = 5
	if p.gauge == nil {
		return
	}
	var after counts
	before, err := p.gauge.read(ctx)
	for i := 0; i < some && err == nil && !p.cut; i++ {
		if _, refusal := p.read(ctx, &pb.RangeRequest{Serializable: true}); !says(refusal, rpctypes.ErrGRPCEmptyKey) {
			err = refusal
		}
	}
	if err == nil {
		after, err = p.gauge.read(ctx)
	}
	if err != nil || after.misses-before.misses < some {
		p.row.Note("its metrics do not count its reads: they were not used")
		p.dropGauge()
		return
	}
	p.before, p.last, p.row.Before = after, after, &p.before.entries
}

// look makes one serializable read, with the token that nobody has where that is free.
func (p *asking) look(ctx context.Context, r *pb.RangeRequest) (*pb.RangeResponse, error) {
	if p.free {
		ctx, cancel := context.WithTimeout(as(ctx, nobody), p.timeout)
		defer cancel()
		return p.kv.Range(ctx, r, whole)
	}
	return p.read(ctx, r)
}

// told is where an answer came from, by the metrics before and after it; "" where others read at the same time.
func told(before, after counts) string {
	switch hits, misses := after.hits-before.hits, after.misses-before.misses; {
	case hits == 1 && misses == 0:
		return Hit
	case hits == 0 && misses == 1:
		return Miss
	}
	return ""
}

// fail notes the first error; one that is said of one read only does not end the round.
func (p *asking) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.row.Error == "" {
		p.row.Error = "it did not answer: " + plain(err)
	}
	p.failed = err
}

// warn says before a proxy is asked what that may leave in it.
func (p *asking) warn(n int, leave bool, say func(string)) (ask bool) {
	n = min(n, most)
	switch {
	case p.free || n == 0:
		return n > 0
	case p.gauge != nil && p.before.entries == 0:
		p.row.Note("its cache is empty: it was not asked")
		return false
	case leave && p.gauge == nil:
		p.row.Error = "it was not asked: what it files could not be told from what it had, for its metrics cannot be read"
		return false
	case leave:
		say(fmt.Sprintf("%s: of %s, those that it has not cached are filed, and taken out again at the end", p.addr,
			text.Count(n, "read")))
	default:
		say(fmt.Sprintf("%s: of %s, those that it has not cached are filed%s", p.addr, text.Count(n, "read"),
			map[bool]string{true: "; --leave-no-trace takes them out again"}[p.gauge != nil]))
	}
	return true
}
