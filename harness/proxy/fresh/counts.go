package fresh

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// FencedStats says what a Fenced has done since it began, and how it stands.
type FencedStats struct {
	Hits     int64            // reads answered from what is kept, or by what another reader was told at the time
	Misses   int64            // reads of what was not kept, made linearizably to be kept
	Passed   map[string]int64 // reads made linearizably whose answer is not kept, by what kept it from being
	Barriers int64            // how often the members were asked for the present
	Rejected int64            // answers that were not kept because the watch had passed them
	Checked  int64            // kept answers that were compared with the members' and were so
	Purges   map[string]int64 // how often everything was forgotten, and why
	Refused  string           // why the watch did not stand when it was last begun, "" if it did

	Live     bool          // the watch stands
	Seen     int64         // the revision that it has come to
	FenceAge time.Duration // what was acknowledged longer ago than this has been seen
	Answers  int           // how many are kept, those included that are awaited or outdated
	Bytes    int64         // what they take, as an estimate
}

// Stats is a copy.
func (f *Fenced) Stats() FencedStats {
	s := FencedStats{Hits: f.counts.hits.Load(), Misses: f.counts.misses.Load(), Barriers: f.counts.barriers.Load(),
		Checked: f.counts.checked.Load()}
	f.counts.mu.Lock()
	s.Passed, s.Purges, s.Refused = maps.Clone(f.counts.passed), maps.Clone(f.counts.purges), f.counts.refused
	f.counts.mu.Unlock()
	f.kept.mu.Lock()
	defer f.kept.mu.Unlock()
	s.Live, s.Seen, s.Rejected, s.Bytes = f.kept.live, f.kept.seen, f.kept.rejected, f.kept.bytes
	s.Answers = len(f.kept.byRequest)
	if s.Live {
		s.FenceAge = time.Since(f.kept.fence)
	}
	return s
}

type counts struct {
	hits, misses, barriers, checked atomic.Int64

	mu             sync.Mutex
	passed, purges map[string]int64
	refused        string
}

func (c *counts) pass(why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.passed == nil {
		c.passed = map[string]int64{}
	}
	c.passed[why]++
}

func (c *counts) purge(why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.purges == nil {
		c.purges = map[string]int64{}
	}
	c.purges[why]++
}

// refuse notes why a watch did not stand; nil if it does.
func (c *counts) refuse(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused = ""
	if err != nil {
		c.refused = err.Error()
	}
}

// revalidated are what a NewRevalidate has done since it began.
type revalidated struct {
	found, confirmed, missed  atomic.Int64 // kept answers: that were there, that were still so, that were not there
	linearizable, past, count atomic.Int64 // reads that were passed on
	none                      atomic.Int64 // reads for which there was no quorum
}

// miss counts a read of what is not kept.
func (c *revalidated) miss(read *pb.RangeRequest) {
	switch {
	case read.Revision > 0:
		c.past.Add(1)
	case read.CountOnly:
		c.count.Add(1)
	default:
		c.missed.Add(1)
	}
}

func (p *revalidate) stats() stats {
	p.kept.mu.Lock()
	answers, bytes, restored := len(p.kept.byRequest), p.kept.bytes, p.kept.past.restored
	p.kept.mu.Unlock()
	c := &p.counts
	return stats{hits: c.found.Load(), confirmed: c.confirmed.Load(), misses: c.missed.Load(), answers: answers,
		bytes: bytes, passed: map[string]int64{"linearizable": c.linearizable.Load(), "old revision": c.past.Load(),
			"count only": c.count.Load(), "no quorum": c.none.Load()},
		purges: map[string]int64{"another history": int64(restored)}}
}
