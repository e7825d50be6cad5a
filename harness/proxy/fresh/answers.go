package fresh

import (
	"container/list"

	"google.golang.org/protobuf/proto"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// defaultMaxBytes is what a cache keeps where nobody says otherwise.
const defaultMaxBytes = 64 << 20

// answers are kept by their requests' bytes, and take no more than max bytes of memory, as an estimate: those used
// least recently go first. Who has them has a lock around them.
type answers struct {
	max       int64
	bytes     int64
	byRequest map[string]*answer
	young     list.List // of *answer, the least recently used is last
}

// answer is what a request came to; resp is nil where it came to something else since, and question where nobody
// is asking. A cache that does not look at keys has neither span nor question.
type answer struct {
	request  string
	span     *span
	resp     *pb.RangeResponse
	question *question
	bytes    int64
	place    *list.Element
}

// clear forgets all.
func (s *answers) clear() {
	s.bytes, s.byRequest = 0, map[string]*answer{}
	s.young.Init()
}

// get is the answer to a request, which is young now; nil if there is none.
func (s *answers) get(request string) *answer {
	a := s.byRequest[request]
	if a != nil {
		s.young.MoveToFront(a.place)
	}
	return a
}

// add makes room for the answer to a request of which there is none.
func (s *answers) add(request string) *answer {
	a := &answer{request: request}
	a.place = s.young.PushFront(a)
	s.byRequest[request] = a
	s.resize(a, nil)
	return a
}

// resize gives an answer another response.
func (s *answers) resize(a *answer, resp *pb.RangeResponse) {
	s.bytes -= a.bytes
	a.resp, a.bytes = resp, size(a.request, resp)
	s.bytes += a.bytes
}

// fits says whether an answer may be kept: one that is too big would push out what is asked for more often.
func (s *answers) fits(request string, resp *pb.RangeResponse) bool {
	return size(request, resp) <= s.max/4
}

// trim forgets what was used least until the rest is small enough, and says what that was.
func (s *answers) trim() (gone []*answer) {
	for s.bytes > s.max && s.young.Len() > 0 {
		a := s.young.Back().Value.(*answer)
		s.remove(a)
		gone = append(gone, a)
	}
	return gone
}

func (s *answers) remove(a *answer) {
	s.young.Remove(a.place)
	s.bytes -= a.bytes
	delete(s.byRequest, a.request)
}

// size is about how many bytes an answer takes: what is in it, and what Go takes beside
// (TestBytesAreAboutWhatTheyTake).
func size(request string, resp *pb.RangeResponse) int64 {
	n := 600 + 4*len(request)
	if resp != nil {
		n += 200 + proto.Size(resp)*9/8 + 200*len(resp.Kvs) // an eighth for size classes
	}
	return int64(n)
}
