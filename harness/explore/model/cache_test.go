package model

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	etcdcache "go.etcd.io/etcd/server/v3/proxy/grpcproxy/cache"
	"google.golang.org/protobuf/proto"

	"ghostroute/harness/explore/plan"
)

// TestTheModelsCacheIsEtcds calls etcd's cache and the model's side by side, at random, and after each call compares
// everything that either would answer. Many ranges overlap and many end before they begin: the tree's shape matters
// then.
func TestTheModelsCacheIsEtcds(t *testing.T) {
	t.Parallel()
	calls, hits := 0, 0
	for seed := range uint64(1000) {
		c, h := sideBySide(t, seed)
		calls, hits = calls+c, hits+h
	}
	t.Logf("%d calls, %d hits", calls, hits)
	require.Positive(t, hits)
}

func sideBySide(t *testing.T, seed uint64) (calls, hits int) {
	r := rand.New(rand.NewPCG(seed, 0))
	real := etcdcache.NewCache(etcdcache.DefaultMaxEntries)
	m := newCache()
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
	var modelled []request
	draw := func() int {
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
		reqs = append(reqs, q)
		modelled = append(modelled, request{key, end, plan.Shape{Limit: int(q.Limit)}, q.Revision})
		return len(reqs) - 1
	}
	for step := range 120 {
		calls++
		what := ""
		switch r.IntN(8) {
		case 0, 1, 2:
			i := draw()
			real.Add(proto.Clone(reqs[i]).(*pb.RangeRequest), &pb.RangeResponse{Count: int64(step)})
			m.add(modelled[i], entry{state: step})
			what = "add " + reqs[i].String()
		case 3, 4, 5:
			i := draw()
			resp, err := real.Get(reqs[i])
			e, hit, refused := m.get(modelled[i])
			what = "get " + reqs[i].String()
			require.Equal(t, err == etcdcache.ErrCompacted, refused == plan.ErrCompacted,
				"seed %d step %d: %s", seed, step, what)
			require.Equal(t, err == nil, hit, "seed %d step %d: %s", seed, step, what)
			if hit {
				hits++
				require.Equal(t, resp.Count, int64(e.state), "seed %d step %d: %s", seed, step, what)
			}
		case 6:
			key, end := bounds()
			var realEnd []byte
			if end != "" {
				realEnd = []byte(end)
			}
			real.Invalidate([]byte(key), realEnd)
			m.invalidate(key, end)
			what = fmt.Sprintf("invalidate %q %q", key, end)
		case 7:
			if r.IntN(10) == 0 {
				rev := 1 + r.IntN(4)
				real.Compact(int64(rev))
				m.compacted = max(m.compacted, int64(rev))
				what = fmt.Sprint("compact ", rev)
			}
		}
		require.Equal(t, real.Size(), len(m.answers), "seed %d step %d: size after %s", seed, step, what)
	}
	return calls, hits
}

// TestEveryVerbHasARule: a verb that the model does not know would otherwise be found in the middle of a soak.
func TestEveryVerbHasARule(t *testing.T) {
	for _, v := range plan.Verbs() {
		require.Contains(t, rules, v)
	}
	_, err := New(plan.Default()).Apply(plan.Step{Verb: "levitate"})
	require.EqualError(t, err, `the model does not know the verb "levitate"`)
}
