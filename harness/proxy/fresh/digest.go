package fresh

import (
	"context"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// mostChecked is how many answers are compared at a time: each costs the members a read that sends next to nothing.
const mostChecked = 1000

// checkNowAndThen looks for what a watch cannot show of itself: an event that was left out of a revision whose other
// events came (kubernetes issue 123072 had deletes missing for a day). It is what Kubernetes' KEP-4988 does.
func (f *Fenced) checkNowAndThen() {
	for {
		select {
		case <-f.ctx.Done():
			return
		case <-time.After(f.o.CheckEvery):
			f.check(f.ctx)
		}
	}
}

// check compares kept answers, chosen by chance, with the members' as of the same revision, and forgets everything if
// one is not so. An answer of revision r that counted n keys is the same at a later one if there are n still and none
// is newer than r: no keys need be sent, and as the revision is named, what changes meanwhile is no false alarm. What
// cannot be asked, as of a revision that was compacted, is left.
func (f *Fenced) check(ctx context.Context) {
	watch, at, kept := f.kept.some(mostChecked)
	for _, a := range kept {
		r := &pb.RangeRequest{Key: []byte(a.key), RangeEnd: []byte(a.end), Revision: at,
			MinModRevision: a.revision + 1, KeysOnly: true, Limit: 1}
		resp, err := f.kv.Range(ctx, r, unlimited)
		switch {
		case err != nil:
		case len(resp.Kvs) > 0 || resp.Count != a.count:
			f.restart(watch, "digest")
			return
		default:
			f.counts.checked.Add(1)
		}
	}
}

// kept says what a kept answer was.
type kept struct {
	key, end        string
	revision, count int64
}

// some are at most so many of the answers that are true at revision at.
func (s *ranges) some(most int) (watch, at int64, some []kept) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.byRequest { // in an order of chance
		if len(some) == most {
			break
		}
		if a.resp == nil || a.resp.Header.Revision > s.seen {
			continue
		}
		key, end := a.span.bounds()
		some = append(some, kept{key, end, a.resp.Header.Revision, a.resp.Count})
	}
	return s.watch, s.seen, some
}
