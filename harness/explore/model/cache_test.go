package model

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/proxy/grpcproxy/cache"
	"google.golang.org/protobuf/proto"

	"ghostroute/harness/explore/plan"
)

// TestTheModelsCacheIsEtcds calls etcd's cache and the model's side by side, at random, and after each call compares
// everything that either would answer. Many ranges overlap and many end before they begin: the tree's shape matters then.
func TestTheModelsCacheIsEtcds(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 3, 8, fullCache} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			calls, hits := 0, 0
			for seed := range uint64(300) {
				c, h := sideBySide(t, size, seed)
				calls, hits = calls+c, hits+h
			}
			t.Logf("%d calls, %d hits", calls, hits)
			require.Positive(t, hits)
		})
	}
}

func sideBySide(t *testing.T, size int, seed uint64) (calls, hits int) {
	r := rand.New(rand.NewPCG(seed, uint64(size)))
	real := cache.NewCache(size)
	var u universe
	m := proxy{compacted: -1}
	names := []string{"a", "b", "c", "d", "e", "f"}
	bounds := func() (string, string) {
		key := names[r.IntN(len(names))]
		switch r.IntN(5) {
		case 0:
			return key, "\x00" // from the key on
		case 1, 2:
			return key, names[r.IntN(len(names))] + "z" // may end before it begins, too
		case 3:
			return "\x00", "\x00"
		}
		return key, ""
	}
	var reqs []*pb.RangeRequest
	var ids []uint8
	request := func() int {
		if len(reqs) > 30 || len(reqs) > 0 && r.IntN(2) == 0 {
			return r.IntN(len(reqs))
		}
		key, end := bounds()
		q := &pb.RangeRequest{Key: []byte(key), RangeEnd: []byte(end), Serializable: true}
		if r.IntN(4) == 0 {
			q.Revision = int64(1 + r.IntN(4))
		}
		if r.IntN(3) == 0 {
			q.Limit = 1
		}
		rng, err := u.keyRange(key, end)
		require.NoError(t, err)
		id, err := u.request(request{rng: rng, revision: uint8(q.Revision), shape: plan.Shape{Limit: int(q.Limit)}})
		require.NoError(t, err)
		reqs, ids = append(reqs, q), append(ids, id)
		return len(reqs) - 1
	}
	for step := range 120 {
		calls++
		what := ""
		switch r.IntN(8) {
		case 0, 1, 2:
			i := request()
			mark := uint8(step)
			real.Add(proto.Clone(reqs[i]).(*pb.RangeRequest), &pb.RangeResponse{Count: int64(mark)})
			m.add(&u, ids[i], entry{state: mark}, size)
			what = "add " + reqs[i].String()
		case 3, 4, 5:
			i := request()
			resp, err := real.Get(reqs[i])
			hit, compacted := m.get(&u, ids[i])
			what = "get " + reqs[i].String()
			require.Equal(t, err == cache.ErrCompacted, compacted, "seed %d step %d: %s", seed, step, what)
			require.Equal(t, err == nil || compacted, hit, "seed %d step %d: %s", seed, step, what)
			if err == nil {
				hits++
				require.Equal(t, resp.Count, int64(m.entry[ids[i]].state), "seed %d step %d: %s", seed, step, what)
			}
		case 6:
			key, end := bounds()
			var realEnd []byte
			if end != "" {
				realEnd = []byte(end)
			}
			rng, err := u.keyRange(key, end)
			require.NoError(t, err)
			real.Invalidate([]byte(key), realEnd)
			m.invalidate(&u, rng)
			what = fmt.Sprintf("invalidate %q %q", key, end)
		case 7:
			if r.IntN(10) == 0 {
				rev := 1 + r.IntN(4)
				real.Compact(int64(rev))
				m.compact(int16(rev))
				what = fmt.Sprint("compact ", rev)
			}
		}
		require.Equal(t, real.Size(), popcount(m.present), "seed %d step %d: size after %s", seed, step, what)
	}
	return calls, hits
}

func popcount(set uint64) (n int) {
	for ; set != 0; set &= set - 1 {
		n++
	}
	return n
}
