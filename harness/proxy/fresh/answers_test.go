package fresh

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness/etcd"
	"ghostroute/harness/history"
)

// toldRead is a read's answer, and what it must not be older than.
type toldRead struct {
	who   string
	req   *pb.RangeRequest
	resp  *pb.RangeResponse
	floor int64
}

// revisions are those that became known, with when.
type revisions struct {
	mu  sync.Mutex
	all []struct {
		at  time.Time
		rev int64
	}
}

func (r *revisions) add(rev int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, struct {
		at  time.Time
		rev int64
	}{time.Now(), rev})
}

// by is the highest that was known by then.
func (r *revisions) by(then time.Time) (rev int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, x := range r.all {
		if !x.at.After(then) {
			rev = max(rev, x.rev)
		}
	}
	return rev
}

// On three real members, while others write through the proxy and past it and the watch breaks off now and then: each
// answer is the members' own at the revision it names, and that is no lower than any that was acknowledged or told of
// before the read began (etcd's revisions being one order of all writes, the answers are linearizable), or with a
// bound, before the bound; and no proxy is taken back in time.
func TestEveryAnswerIsTrueAndInTime(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cluster, err := etcd.Start(ctx, etcd.Config{Members: 3, Dir: t.TempDir(), History: history.New()})
	require.NoError(t, err)
	defer func() { require.NoError(t, cluster.Close()) }()
	direct := cluster.Client()
	client := func() *clientv3.Client {
		var eps []string
		for _, m := range cluster.Members {
			eps = append(eps, m.Endpoint())
		}
		c, err := clientv3.New(clientv3.Config{Endpoints: eps, DialTimeout: time.Second, Context: ctx})
		require.NoError(t, err)
		return c
	}

	const bound = 30 * time.Millisecond
	var acked revisions // by any writer, and told by a linearizable reader
	type proxy struct {
		name string
		*Fenced
		bound time.Duration
		told  revisions
	}
	proxies := []*proxy{{name: "consistent"}, {name: "coherent", bound: bound}}
	for _, p := range proxies {
		c := client()
		defer c.Close()
		pctx, end := context.WithCancel(ctx)
		p.Fenced = NewFenced(pctx, c, FencedOptions{MaxStaleness: p.bound, MaxBytes: 20_000})
		defer func() { end(); <-p.Done() }()
		<-p.Stands()
	}

	var work sync.WaitGroup
	var mu sync.Mutex
	var all []toldRead
	for i := range 4 { // writers: two past the proxies, one through each
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		kv := pb.NewKVClient(direct.ActiveConnection())
		work.Go(func() {
			for n := range 60 {
				// writes are spread by the seed over the reads: nothing waits for it
				time.Sleep(time.Duration(r.IntN(4000)) * time.Microsecond)
				key, end := someKeys(r)
				var h *pb.ResponseHeader
				var err error
				switch x := r.IntN(3); {
				case x > 0 && i < 2:
					var resp *pb.PutResponse
					resp, err = kv.Put(ctx, &pb.PutRequest{Key: key, Value: fmt.Append(nil, i, n)})
					h = resp.GetHeader()
				case i < 2:
					var resp *pb.DeleteRangeResponse
					resp, err = kv.DeleteRange(ctx, &pb.DeleteRangeRequest{Key: key, RangeEnd: end})
					h = resp.GetHeader()
				case x > 0:
					var resp *pb.PutResponse
					resp, err = proxies[i-2].Put(ctx, &pb.PutRequest{Key: key, Value: fmt.Append(nil, i, n)})
					h = resp.GetHeader()
				default:
					var resp *pb.TxnResponse
					del := &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: &pb.DeleteRangeRequest{Key: key, RangeEnd: end}}
					resp, err = proxies[i-2].Txn(ctx, &pb.TxnRequest{Success: []*pb.RequestOp{{Request: del}}})
					h = resp.GetHeader()
				}
				if err != nil {
					t.Errorf("writer %d: %v", i, err)
					return
				}
				acked.add(h.Revision)
				if i >= 2 {
					proxies[i-2].told.add(h.Revision)
				}
			}
		})
	}
	for i := range 6 {
		r := rand.New(rand.NewPCG(seed, uint64(100+i)))
		p := proxies[i%2]
		work.Go(func() {
			const enough = 20 // answers out of what is kept: a watch that was broken off stands late on a busy machine
			for n := 0; n < 200 || p.Stats().Hits <= enough; n++ {
				// and reads over the writes
				time.Sleep(time.Duration(r.IntN(1000)) * time.Microsecond)
				if r.IntN(50) == 0 {
					p.check(ctx)
				}
				if r.IntN(400) == 0 {
					p.restart(p.kept.now().watch, "by chance")
				}
				req := someRead(r)
				began := time.Now()
				within := p.bound
				if !req.Serializable {
					within = 0
				}
				floor := max(acked.by(began.Add(-within)), p.told.by(began))
				resp, err := p.Range(ctx, req)
				if err != nil {
					t.Errorf("%s: %v", p.name, err)
					return
				}
				p.told.add(resp.Header.Revision)
				if within == 0 {
					acked.add(resp.Header.Revision)
				}
				mu.Lock()
				all = append(all, toldRead{p.name, req, resp, floor})
				mu.Unlock()
			}
		})
	}
	work.Wait()

	for _, x := range all {
		require.GreaterOrEqual(t, x.resp.Header.Revision, x.floor, "%s is told of the past: %v", x.who, x.req)
		then := proto.Clone(x.req).(*pb.RangeRequest)
		then.Revision, then.Serializable = x.resp.Header.Revision, false
		truth, err := pb.NewKVClient(direct.ActiveConnection()).Range(ctx, then)
		require.NoError(t, err)
		truth.Header = x.resp.Header
		require.True(t, proto.Equal(truth, x.resp), "%s is told what was never true: %v\nis told  %v\nthe truth %v",
			x.who, x.req, x.resp, truth)
	}
	for _, p := range proxies {
		s := p.Stats()
		t.Logf("%s: %+v", p.name, s)
		require.Positive(t, s.Checked)
		require.Zero(t, s.Purges["the watch left a revision out"]+s.Purges["another history"]+s.Purges["digest"],
			"a false alarm")
	}
}

func someKeys(r *rand.Rand) (key, end []byte) {
	key = fmt.Appendf(nil, "k%d", r.IntN(6))
	switch r.IntN(4) {
	case 0:
		end = fmt.Appendf(nil, "k%d", r.IntN(7))
	case 1:
		if r.IntN(3) == 0 {
			end = []byte{0}
		}
	}
	return key, end
}

// someRead is a read of the present in any form.
func someRead(r *rand.Rand) *pb.RangeRequest {
	few := func() bool { return r.IntN(8) == 0 }
	in := &pb.RangeRequest{Serializable: !few()}
	in.Key, in.RangeEnd = someKeys(r)
	if few() {
		in.Key, in.RangeEnd = []byte{0}, []byte{0}
	}
	if few() {
		in.Limit = 1 + r.Int64N(3)
	}
	if few() {
		in.SortOrder, in.SortTarget = pb.RangeRequest_SortOrder(r.IntN(3)), pb.RangeRequest_SortTarget(r.IntN(5))
	}
	in.KeysOnly, in.CountOnly = few(), few()
	if few() {
		in.MinModRevision = 1 + r.Int64N(100)
	}
	return in
}
