package fresh_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// rounds is how often a case of rapid's asks its question: 100 cases are 500 questions.
const rounds = 5

// That a range has no key newer than r and the count it had at r means that nothing in it changed; and it has a newer
// key or another count if anything did.
func TestUnchangedIsNoNewerKeyAndTheSameCount(t *testing.T) {
	s := start(t, 1, byDefault)
	same, differ := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		s.wipe(t)
		for range rounds {
			s.change(t, rapid.IntRange(0, 4).Draw(t, "before"))
			key, end := someRange(t)
			was := s.all(t, key, end)
			s.change(t, rapid.IntRange(0, 3).Draw(t, "between"))
			now, err := s.direct.Do(s.ctx, clientv3.OpGet(key, clientv3.WithRange(end),
				clientv3.WithMinModRev(was.Header.Revision+1), clientv3.WithKeysOnly(), clientv3.WithLimit(1)))
			require.NoError(t, err)
			is := s.all(t, key, end)
			unchanged := equal(was, is)
			require.Equal(t, unchanged, len(now.Get().Kvs) == 0 && now.Get().Count == was.Count, "was %v, is %v", was, is)
			if unchanged {
				same++
			} else {
				differ++
			}
		}
	})
	t.Logf("%d unchanged, %d changed", same, differ)
	require.Positive(t, same)
	require.Positive(t, differ)
}

// Whatever is asked, an answer is what a member has at the answer's own revision, and that is the newest.
func TestEveryAnswerIsTheMembersAtItsRevision(t *testing.T) {
	s := start(t, 1, byDefault)
	hits := 0
	rapid.Check(t, func(t *rapid.T) {
		s.wipe(t)
		var asked []*pb.RangeRequest
		for range 2 * rounds {
			s.change(t, rapid.IntRange(0, 2).Draw(t, "changes"))
			var r *pb.RangeRequest
			if len(asked) > 0 && rapid.IntRange(0, 3).Draw(t, "again") > 0 {
				r = rapid.SampledFrom(asked).Draw(t, "one of them")
			} else {
				r = s.someRequest(t)
				asked = append(asked, r)
			}
			s.tap.ranges()
			got, err := s.kv.Range(s.ctx, r)
			require.NoError(t, err, "%v", r)
			upstream := s.tap.ranges()
			require.LessOrEqual(t, len(upstream), 2, "%v", r)
			if len(upstream) == 1 && upstream[0].KeysOnly && !r.KeysOnly {
				hits++
			}

			newest, err := s.direct.Get(s.ctx, "k")
			require.NoError(t, err)
			require.Equal(t, newest.Header.Revision, got.Header.Revision, "%v", r)
			at := proto.Clone(r).(*pb.RangeRequest)
			at.Revision, at.Serializable = got.Header.Revision, false
			want, err := pb.NewKVClient(s.direct.ActiveConnection()).Range(s.ctx, at)
			require.NoError(t, err)
			got.Header, want.Header = nil, nil
			require.True(t, proto.Equal(want, got), "%v: %v at the member, %v through it", r, want, got)
		}
	})
	t.Logf("%d answers were confirmed", hits)
	require.Positive(t, hits)
}

func equal(a, b *pb.RangeResponse) bool {
	return proto.Equal(&pb.RangeResponse{Kvs: a.Kvs, Count: a.Count}, &pb.RangeResponse{Kvs: b.Kvs, Count: b.Count})
}

func (s *stand) all(t *rapid.T, key, end string) *pb.RangeResponse {
	r, err := s.direct.Get(s.ctx, key, clientv3.WithRange(end))
	require.NoError(t, err)
	return (*pb.RangeResponse)(r)
}

func (s *stand) wipe(t *rapid.T) {
	_, err := s.direct.Delete(s.ctx, "", clientv3.WithPrefix())
	require.NoError(t, err)
}

func someKey(t *rapid.T) string { return fmt.Sprintf("k%d", rapid.IntRange(0, 4).Draw(t, "key")) }

// someRange is a key, a few, a prefix, those from one on, all there are, or none.
func someRange(t *rapid.T) (key, end string) {
	key = someKey(t)
	switch rapid.IntRange(0, 5).Draw(t, "range") {
	case 0:
		return key, ""
	case 1:
		return key, someKey(t) // may end before it begins
	case 2:
		return "k", "l"
	case 3:
		return key, "\x00"
	case 4:
		return "\x00", "\x00"
	}
	return "absent", ""
}

// someRequest is a serializable read of any form, but at the newest revision.
func (s *stand) someRequest(t *rapid.T) *pb.RangeRequest {
	key, end := someRange(t)
	r := &pb.RangeRequest{Key: []byte(key), RangeEnd: []byte(end), Serializable: true}
	few := func(what string) bool { return rapid.IntRange(0, 3).Draw(t, what) == 0 }
	if few("limit") {
		r.Limit = rapid.Int64Range(1, 3).Draw(t, "at most")
	}
	if few("sort") {
		r.SortOrder = pb.RangeRequest_SortOrder(rapid.IntRange(0, 2).Draw(t, "order"))
		r.SortTarget = pb.RangeRequest_SortTarget(rapid.IntRange(0, 4).Draw(t, "target"))
	}
	r.KeysOnly, r.CountOnly = few("keys only"), few("count only")
	newest := s.all(t, "k", "").Header.Revision
	for _, bound := range []*int64{&r.MinModRevision, &r.MaxModRevision, &r.MinCreateRevision, &r.MaxCreateRevision} {
		if rapid.IntRange(0, 7).Draw(t, "bound") == 0 {
			*bound = max(1, newest-rapid.Int64Range(-2, 6).Draw(t, "revisions ago"))
		}
	}
	return r
}

// change makes n changes, a compaction now and then among them, each on a member or through the KV server.
func (s *stand) change(t *rapid.T, n int) {
	for range n {
		kv := s.kv
		if rapid.Bool().Draw(t, "on a member") {
			kv = pb.NewKVClient(s.direct.ActiveConnection())
		}
		key, end := someRange(t)
		var err error
		switch rapid.IntRange(0, 9).Draw(t, "change") {
		case 0, 1, 2:
			_, err = kv.Put(s.ctx, &pb.PutRequest{Key: []byte(someKey(t)), Value: []byte("v")})
		case 3, 4:
			_, err = kv.DeleteRange(s.ctx, &pb.DeleteRangeRequest{Key: []byte(someKey(t))})
		case 5:
			_, err = kv.DeleteRange(s.ctx, &pb.DeleteRangeRequest{Key: []byte(key), RangeEnd: []byte(end)})
		case 6: // one is deleted and another put, so the count stays
			_, err = kv.Txn(s.ctx, &pb.TxnRequest{Success: []*pb.RequestOp{del("k1"), put("k2")}})
		case 7: // what a read in it answers is of a revision that another put is part of
			_, err = kv.Txn(s.ctx, &pb.TxnRequest{Success: []*pb.RequestOp{put("k1"), get("\x00", "\x00"),
				{Request: &pb.RequestOp_RequestTxn{RequestTxn: &pb.TxnRequest{Success: []*pb.RequestOp{put("k3")}}}}}})
		case 8: // it is deleted and put again
			_, err = kv.DeleteRange(s.ctx, &pb.DeleteRangeRequest{Key: []byte("k0")})
			if err == nil {
				_, err = kv.Put(s.ctx, &pb.PutRequest{Key: []byte("k0"), Value: []byte("v")})
			}
		case 9:
			newest := s.all(t, "k", "").Header.Revision
			at := max(1, newest-rapid.Int64Range(0, 3).Draw(t, "compact"))
			if at > s.compacted {
				s.compacted = at
				_, err = kv.Compact(s.ctx, &pb.CompactionRequest{Revision: at})
			}
		}
		require.NoError(t, err)
	}
}

func put(key string) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: []byte(key)}}}
}

func del(key string) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{
		RequestDeleteRange: &pb.DeleteRangeRequest{Key: []byte(key)}}}
}

func get(key, end string) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestRange{
		RequestRange: &pb.RangeRequest{Key: []byte(key), RangeEnd: []byte(end)}}}
}
