package fresh

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/pkg/v3/adt"
)

// expect is now, for a request whose answer is to be filed.
func (s *ranges) expect(request string, keys adt.Interval) asked {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live {
		s.find(request, keys)
	}
	return s.asked()
}

// kept is what is kept of a request, nil for nothing.
func (s *ranges) kept(request string) *pb.RangeResponse {
	if a := s.byRequest[request]; a != nil {
		return a.resp
	}
	return nil
}

// Whatever is asked for, delivered, filed late and forgotten: an answer is kept if and only if the watch has delivered
// nothing that touches its range and that it lacks.
func TestRangesKeepWhatIsTrue(t *testing.T) {
	keys := []string{"a", "b", "c", "d", "e"}
	ends := []string{"", "\x00", "b", "c", "d", "e", "f"}
	type form struct {
		key, end string
		limit    int64
	}
	within := func(k string, f form) bool {
		switch f.end {
		case "":
			return k == f.key
		case "\x00":
			return k >= f.key
		}
		return k >= f.key && k < f.end
	}
	rapid.Check(t, func(t *rapid.T) {
		small := rapid.Bool().Draw(t, "small")
		s := newRanges(1 << 30)
		if small {
			s.max = 4 * 600
		}
		rev := int64(10)
		watch := s.begin(&pb.ResponseHeader{Revision: rev, ClusterId: 1}, time.Now(), rev, func() {})
		changed := map[string]int64{} // the last revision of each key
		filed := map[string]int64{}   // the revision of the answer to each request that was filed last
		forms := map[string]form{}
		asking := map[string]asked{} // what was so when each request was made that is under way
		last := func(f form) (rev int64) {
			for k, r := range changed {
				if within(k, f) {
					rev = max(rev, r)
				}
			}
			return rev
		}
		check := func() {
			for request, f := range forms {
				if r := s.kept(request); r != nil {
					require.GreaterOrEqual(t, r.Header.Revision, last(f), "%s lacks a change", request)
					require.Equal(t, filed[request], r.Header.Revision)
				} else if !small {
					require.True(t, filed[request] == 0 || filed[request] < last(f), "%s is forgotten for nothing", request)
				}
			}
			require.LessOrEqual(t, s.bytes, s.max)
		}
		t.Repeat(map[string]func(*rapid.T){
			"ask": func(t *rapid.T) {
				f := form{rapid.SampledFrom(keys).Draw(t, "key"), rapid.SampledFrom(ends).Draw(t, "end"),
					rapid.Int64Range(0, 1).Draw(t, "limit")}
				ivl, ok := keysOf([]byte(f.key), []byte(f.end))
				require.Equal(t, f.end == "" || f.end == "\x00" || f.key < f.end, ok)
				if !ok {
					return
				}
				request := fmt.Sprintf("%q %q %d", f.key, f.end, f.limit)
				forms[request] = f
				asking[request] = s.expect(request, ivl)
			},
			"answer": func(t *rapid.T) {
				if len(asking) == 0 {
					return
				}
				var all []string
				for r := range asking {
					all = append(all, r)
				}
				request := all[0]
				for _, r := range all {
					request = min(request, r)
				}
				f := forms[request]
				at := rapid.Int64Range(rev-3, rev+1).Draw(t, "at")
				ivl, _ := keysOf([]byte(f.key), []byte(f.end))
				s.file(asking[request], request, ivl, &pb.RangeResponse{Header: &pb.ResponseHeader{Revision: at, ClusterId: 1}})
				current := asking[request].watch == watch
				delete(asking, request)
				if a := s.byRequest[request]; a != nil && a.resp != nil && a.resp.Header.Revision == at {
					require.GreaterOrEqual(t, at, last(f), "filed though the watch had passed it")
					filed[request] = at
				} else if !small && current && at >= max(rev, filed[request]) {
					require.Fail(t, "the newest answer was not filed", "%s at %d", request, at)
				}
			},
			"event": func(t *rapid.T) {
				rev++
				var evs []*mvccpb.Event
				for _, k := range rapid.SliceOfNDistinct(rapid.SampledFrom(keys), 1, 3, rapid.ID).Draw(t, "keys") {
					changed[k] = rev
					evs = append(evs, &mvccpb.Event{Kv: &mvccpb.KeyValue{Key: []byte(k), ModRevision: rev}})
				}
				require.NoError(t, s.apply(evs, false))
			},
			"purge": func(t *rapid.T) {
				if rapid.IntRange(0, 9).Draw(t, "rarely") > 0 {
					return
				}
				require.True(t, s.end(watch))
				require.False(t, s.end(watch))
				watch = s.begin(&pb.ResponseHeader{Revision: rev, ClusterId: 1}, time.Now(), rev, func() {})
				clear(filed)
			},
			"": func(*rapid.T) { check() },
		})
	})
}

func event(key string, rev int64) *mvccpb.Event {
	return &mvccpb.Event{Kv: &mvccpb.KeyValue{Key: []byte(key), ModRevision: rev}}
}

// What is bounded is an estimate. It is no less than what is taken.
func TestBytesAreAboutWhatTheyTake(t *testing.T) {
	for _, each := range []struct{ answers, keys, value int }{
		{10_000, 0, 0}, {10_000, 1, 100}, {100, 500, 20}, {20, 5, 100_000}} {
		before := heap()
		s := newRanges(1 << 40)
		s.begin(&pb.ResponseHeader{Revision: 1}, time.Now(), 1, func() {})
		for i := range each.answers {
			req := fmt.Sprintf("/micro/registry/service-%05d/", i)
			keys, _ := keysOf([]byte(req), []byte(req[:len(req)-1]+"0"))
			resp := &pb.RangeResponse{Header: &pb.ResponseHeader{Revision: 1}}
			for k := range each.keys {
				resp.Kvs = append(resp.Kvs, &mvccpb.KeyValue{Key: fmt.Append(nil, req, k), Value: make([]byte, each.value)})
			}
			s.file(s.expect(req, keys), req, keys, resp)
		}
		took := heap() - before
		t.Logf("%+v: estimated %d bytes, taken %d", each, s.bytes, took)
		require.GreaterOrEqual(t, s.bytes, took)
		runtime.KeepAlive(s)
	}
}

// Answers of any size and number: what is kept stays below its bound, and what is bigger than a quarter of it is not.
func TestTheBoundOfBytesHolds(t *testing.T) {
	s := newRanges(100_000)
	s.begin(&pb.ResponseHeader{Revision: 1}, time.Now(), 1, func() {})
	kept := 0
	for i := range 2000 {
		req := fmt.Sprintf("%05d", i)
		keys, _ := keysOf([]byte(req), nil)
		s.file(s.expect(req, keys), req, keys, &pb.RangeResponse{Header: &pb.ResponseHeader{Revision: 1},
			Kvs: []*mvccpb.KeyValue{{Key: []byte(req), Value: make([]byte, 20*i)}}})
		require.LessOrEqual(t, s.bytes, s.max)
		require.Equal(t, len(s.byRequest), s.young.Len())
		require.Equal(t, len(s.byRequest), s.index.Len())
		if s.kept(req) != nil {
			kept = i
		}
	}
	require.InDelta(t, (25_000-1000)/(20*9/8.0), kept, 10)
}

// Among 10,000 ranges an event finds those that it touches in microseconds: issue 11's goal is 5.
func BenchmarkInvalidate(b *testing.B) {
	const n = 10_000
	s := newRanges(1 << 40)
	s.begin(&pb.ResponseHeader{Revision: 1, ClusterId: 1}, time.Now(), 1, func() {})
	request := func(i int) (string, []byte, []byte) {
		key := fmt.Sprintf("/micro/registry/service-%05d/", i)
		return key, []byte(key), []byte(key[:len(key)-1] + "0")
	}
	for i := range n {
		req, key, end := request(i)
		keys, _ := keysOf(key, end)
		s.file(s.expect(req, keys), req, keys, &pb.RangeResponse{Header: &pb.ResponseHeader{Revision: 1, ClusterId: 1},
			Kvs: []*mvccpb.KeyValue{{Key: key, Value: make([]byte, 100)}}})
	}
	require.Equal(b, n, s.index.Len())
	b.Run("kept", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			req, key, end := request(i % n)
			rev := s.seen + 1
			require.NoError(b, s.apply([]*mvccpb.Event{event(string(key)+"node", rev)}, false))
			b.StopTimer()
			keys, _ := keysOf(key, end)
			s.file(s.expect(req, keys), req, keys, &pb.RangeResponse{Header: &pb.ResponseHeader{Revision: rev, ClusterId: 1},
				Kvs: []*mvccpb.KeyValue{{Key: key, Value: make([]byte, 100)}}})
			b.StartTimer()
		}
	})
	b.Run("elsewhere", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			require.NoError(b, s.apply([]*mvccpb.Event{event("/other/"+fmt.Sprint(i%n), s.seen+1)}, false))
		}
	})
}

// A million keys change, among 10,000 ranges of which a few are touched now and then: what is kept does not grow with
// what is watched.
func BenchmarkAMillionKeys(b *testing.B) {
	const n, ranges = 1_000_000, 10_000
	before := heap()
	s := newRanges(64 << 20)
	s.begin(&pb.ResponseHeader{Revision: 1}, time.Now(), 1, func() {})
	for i := range ranges {
		req := fmt.Sprintf("%06d", i*n/ranges)
		keys, _ := keysOf([]byte(req), []byte(req+"x"))
		s.file(s.expect(req, keys), req, keys, &pb.RangeResponse{Header: &pb.ResponseHeader{Revision: 1},
			Kvs: []*mvccpb.KeyValue{{Key: []byte(req), Value: make([]byte, 100)}}})
	}
	full := heap() - before
	for b.Loop() {
		for i := range n {
			require.NoError(b, s.apply([]*mvccpb.Event{event(fmt.Sprintf("%06d", i), s.seen+1)}, false))
		}
	}
	require.Less(b, heap()-before, full+spare)
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/event")
	b.ReportMetric(float64(heap()-before)/(1<<20), "MiB")
	runtime.KeepAlive(s)
}
