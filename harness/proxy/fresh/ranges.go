package fresh

import (
	"errors"
	"slices"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/pkg/v3/adt"
)

// ranges are answers to Range requests, found by the request's bytes and by the keys that they are about. They are
// kept for one watch on every key: begin with it, told of each event, and forgotten with it.
//
// What is kept is never wrong at revision seen: an answer of revision r is filed if no event after r is known to touch
// its range, and dropped when one comes. So it is true at each revision from r to seen.
type ranges struct {
	mu        sync.Mutex
	watch     int64  // counts the watches; what was asked under one is not filed under another
	live      bool   // the watch stands
	stop      func() // ends the watch
	base      int64  // the revision of the member that watches, when the watch began
	seen      int64  // each event up to this revision has been applied
	part      int64  // the revision that is being applied: seen, or the next of which not all events may have come
	known     pb.ResponseHeader
	fence     time.Time // everything acknowledged before it is in seen
	awaited   time.Time // fence once seen has come to awaitedAt; zero where nothing is awaited
	awaitedAt int64
	moved     chan struct{} // closed when seen moves or the watch ends; nil where nobody waits

	answers
	index    adt.IntervalTree // of *span
	rejected int64
}

// span is a range of keys that answers are kept of, or were: it is there as long as one of them is in the list.
type span struct {
	keys    adt.Interval
	floor   int64 // an older answer may lack an event
	answers []*answer
}

// bounds are the key and the end that a request for the span names.
func (sp *span) bounds() (key, end string) {
	key = string(sp.keys.Begin.(adt.StringAffineComparable))
	if end = string(sp.keys.End.(adt.StringAffineComparable)); end == "" {
		end = "\x00"
	}
	return key, end
}

func newRanges(max int64) *ranges {
	return &ranges{answers: answers{max: max, byRequest: map[string]*answer{}}, index: adt.NewIntervalTree()}
}

var (
	errGap  = errors.New("the watch left a revision out")
	errBack = errors.New("the watch went back to a revision that it had delivered")
)

// keysOf is the keys that a request is about. ok is false where there are none, or no key to begin with.
func keysOf(key, end []byte) (keys adt.Interval, ok bool) {
	switch {
	case len(key) == 0:
		return keys, false
	case len(end) == 0:
		return adt.NewStringAffinePoint(string(key)), true
	case len(end) == 1 && end[0] == 0: // from the key on; "" is above every key
		return adt.NewStringAffineInterval(string(key), ""), true
	}
	return adt.NewStringAffineInterval(string(key), string(end)), string(key) < string(end)
}

// begin is called when a watch stands that delivers every event after revision h.Revision, which was the present at a
// moment after at. An answer from before base is not filed: etcd's older versions leave out what was compacted between
// the two, the delete of a compacted revision for one (etcd issues 18089 and 19179).
func (s *ranges) begin(h *pb.ResponseHeader, at time.Time, base int64, stop func()) (watch int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watch++
	s.stop, s.live, s.base, s.seen, s.part, s.fence = stop, true, base, h.Revision, h.Revision, at
	s.setKnown(h)
	return s.watch
}

func (s *ranges) setKnown(h *pb.ResponseHeader) {
	s.known.ClusterId, s.known.MemberId = h.ClusterId, h.MemberId
	s.known.Revision, s.known.RaftTerm = h.Revision, h.RaftTerm
}

// end stops a watch and forgets everything that was kept for it. It is false where that has been done.
func (s *ranges) end(watch int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.live || watch != s.watch {
		return false
	}
	s.live, s.awaited, s.fence = false, time.Time{}, time.Time{}
	s.clear()
	s.index = adt.NewIntervalTree()
	s.move()
	s.stop()
	return true
}

// move wakes who waits for seen to move. s.mu is held.
func (s *ranges) move() {
	if s.moved != nil {
		close(s.moved)
		s.moved = nil
	}
}

// apply drops what the events touch, in their order. With more, others of the last revision follow. As the watch is on
// every key and each revision has an event, none may be missing and none may come twice; of an error's watch nothing
// more may be believed.
func (s *ranges) apply(events []*mvccpb.Event, more bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ev := range events {
		switch rev := ev.Kv.ModRevision; {
		case rev <= s.seen || rev < s.part:
			return errBack
		case rev > s.part+1:
			return errGap
		case rev > s.part:
			s.seen, s.part = s.part, rev
		}
		s.touch(string(ev.Kv.Key), s.part)
	}
	if !more {
		s.seen = s.part
	}
	if !s.awaited.IsZero() && s.seen >= s.awaitedAt {
		s.fence, s.awaited = s.awaited, time.Time{}
	}
	s.move()
	return nil
}

// touch drops each answer of a range with that key that is older than a revision at which it changed. s.mu is held.
func (s *ranges) touch(key string, rev int64) {
	s.index.Visit(adt.NewStringAffinePoint(key), func(n *adt.IntervalValue) bool {
		sp := n.Val.(*span)
		sp.floor = max(sp.floor, rev)
		for _, a := range sp.answers {
			if a.resp != nil && a.resp.Header.Revision < rev {
				s.resize(a, nil)
			}
		}
		return true
	})
}

// asked is what was so when a request was made.
type asked struct {
	watch    int64
	revision int64 // the highest known of
	term     uint64
}

// now is what to give back with what the members say to a question that is put to them after it.
func (s *ranges) now() asked {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked()
}

// asked is now. s.mu is held.
func (s *ranges) asked() asked {
	if !s.live {
		return asked{}
	}
	return asked{s.watch, s.known.Revision, s.known.RaftTerm}
}

// find is where the answer to a request is kept, made if need be: from there on events that touch its keys are noted.
// s.mu is held.
func (s *ranges) find(request string, keys adt.Interval) *answer {
	a := s.get(request)
	if a == nil {
		a = s.add(request)
		if n := s.index.Find(keys); n != nil {
			a.span = n.Val.(*span)
		} else {
			a.span = &span{keys: keys, floor: max(s.base, s.part)} // what touched it before is not known
			s.index.Insert(keys, a.span)
		}
		a.span.answers = append(a.span.answers, a)
		s.shrink()
	}
	return a
}

// shrink forgets what there is no room for, and the spans that nothing is kept of any more. s.mu is held.
func (s *ranges) shrink() {
	for _, a := range s.trim() {
		sp := a.span
		if sp.answers = slices.DeleteFunc(sp.answers, func(b *answer) bool { return a == b }); len(sp.answers) == 0 {
			s.index.Delete(sp.keys)
		}
	}
}

// file keeps the answer to a question that was put after before, unless the watch has passed it, or it is too big. It
// is false where the answer is of no use to this watch.
func (s *ranges) file(before asked, request string, keys adt.Interval, resp *pb.RangeResponse) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.live || before.watch != s.watch || resp.Header.ClusterId != s.known.ClusterId {
		return false
	}
	if !s.fits(request, resp) {
		return true
	}
	a := s.find(request, keys)
	if resp.Header.Revision < a.span.floor || a.resp != nil && resp.Header.Revision < a.resp.Header.Revision {
		s.rejected++
		return true
	}
	s.resize(a, resp)
	s.shrink()
	return true
}

// note says whether a header fits what was known when its question was put: the same cluster, and where it is fence's
// no earlier term and revision either. What is known does not go back within a watch. fence is when the question of a
// linearizable answer was put, zero for any other answer.
func (s *ranges) note(before asked, h *pb.ResponseHeader, fence time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.live || before.watch != s.watch {
		return true // it says nothing about this watch
	}
	linearizable := !fence.IsZero()
	if h.ClusterId != s.known.ClusterId ||
		linearizable && (h.Revision < before.revision || h.RaftTerm < before.term) {
		return false
	}
	if h.Revision > s.known.Revision {
		s.setKnown(h)
	}
	switch {
	case !linearizable:
	case s.seen >= h.Revision:
		if fence.After(s.fence) {
			s.fence = fence
		}
	case s.awaited.IsZero(): // an older one that is awaited comes first, and a newer follows soon
		s.awaited, s.awaitedAt = fence, h.Revision
	}
	return true
}

// awaits says since when a barrier has been waiting for the watch to come to it; zero where none is.
func (s *ranges) awaits() (watch int64, since time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.watch, s.awaited
}

// fencedBefore says whether nothing proves that all that was acknowledged before t has been seen.
func (s *ranges) fencedBefore(t time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fence.Before(t)
}
