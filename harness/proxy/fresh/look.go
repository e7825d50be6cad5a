package fresh

import (
	"time"

	"go.etcd.io/etcd/pkg/v3/adt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// outcome is what a look came to.
type outcome int

const (
	unwatched outcome = iota // no watch stands
	absent                   // there is no such answer, and who looked is to ask, and to settle it
	awaited                  // there is none, and somebody is asking
	present                  // there is, and it is the answer
	unproven                 // there is, but it may be too old
)

// found is what a look came to, and what belongs to that.
type found struct {
	outcome
	resp     *pb.RangeResponse // what is present
	question *question         // of what is absent or awaited
	before   asked             // of what is absent
	moved    <-chan struct{}   // of what is unproven: closed when it may no longer be
}

// question is a linearizable read that others wait for.
type question struct {
	done chan struct{}     // closed when it is settled
	resp *pb.RangeResponse // what it came to, nil for nothing that others may be told
}

// since is what a question that is settled came to, if that is no older than h; else nil.
func (q *question) since(h *pb.ResponseHeader) *pb.RangeResponse {
	if q.resp == nil || q.resp.Header.Revision < h.Revision {
		return nil
	}
	return told(q.resp, h)
}

// recent is the answer to a request if everything is in it that this proxy has told of, and that was acknowledged
// before since. It is told as of the highest revision known.
func (s *ranges) recent(request string, keys adt.Interval, since time.Time) found {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, got := s.look(request, keys)
	if got.outcome != present {
		return got
	}
	if s.fence.Before(since) || max(s.seen, a.resp.Header.Revision) < s.known.Revision {
		return found{outcome: unproven}
	}
	got.resp = told(a.resp, &s.known)
	return got
}

// at is the answer to a request if it is true at revision h.Revision or is newer.
func (s *ranges) at(request string, keys adt.Interval, h *pb.ResponseHeader) found {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, got := s.look(request, keys)
	if got.outcome != present {
		return got
	}
	if max(s.seen, a.resp.Header.Revision) < h.Revision {
		if s.moved == nil {
			s.moved = make(chan struct{})
		}
		return found{outcome: unproven, moved: s.moved}
	}
	got.resp = told(a.resp, h)
	return got
}

// look finds an answer, and makes it young. s.mu is held.
func (s *ranges) look(request string, keys adt.Interval) (*answer, found) {
	if !s.live {
		return nil, found{outcome: unwatched}
	}
	a := s.find(request, keys)
	switch {
	case a.resp != nil:
		return a, found{outcome: present}
	case a.question != nil:
		return a, found{outcome: awaited, question: a.question}
	}
	a.question = &question{done: make(chan struct{})}
	return a, found{outcome: absent, question: a.question, before: s.asked()}
}

// settle keeps what a question came to, nil if it failed, and tells those who wait for it.
func (s *ranges) settle(got found, request string, keys adt.Interval, resp *pb.RangeResponse) {
	if resp != nil && s.file(got.before, request, keys, resp) {
		got.question.resp = resp
	}
	s.overtake(request, got.question)
	close(got.question.done)
}

// overtake has the next who looks ask anew, where a question is settled or takes too long.
func (s *ranges) overtake(request string, q *question) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.byRequest[request]; a != nil && a.question == q {
		a.question = nil
	}
}

// told is a kept answer under the header of a moment at which it is as true. Its keys are shared: nobody may change
// them.
func told(kept *pb.RangeResponse, h *pb.ResponseHeader) *pb.RangeResponse {
	return &pb.RangeResponse{
		Header: &pb.ResponseHeader{ClusterId: h.ClusterId, MemberId: h.MemberId, RaftTerm: h.RaftTerm,
			Revision: max(h.Revision, kept.Header.Revision)},
		Kvs: kept.Kvs, More: kept.More, Count: kept.Count}
}
