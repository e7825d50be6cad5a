package proxy

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/proxy/grpcproxy/cache"

	"ghostroute/harness/etcd"
	"ghostroute/harness/history"
	"ghostroute/harness/keys"
	"ghostroute/harness/onreal"
	"ghostroute/harness/program"
)

// With upstream's cache and nothing patched, patchedKV answers as stock does, whatever is asked: the same answers, the
// same errors, from the same place. Each of the two has a cluster of its own, so that revisions are the same too. On
// real processes it is one of those that answers as stock does inside this process.
func TestPatchedKVIsStock(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	unpatched := Variant{Name: "unpatched", kv: func(w *Wiring) pb.KVServer {
		return oneCache(w, cache.NewCache(cache.DefaultMaxEntries))
	}}
	seed := rand.Uint64()
	sides := []struct {
		Variant
		program.Program
	}{{Variant: Stock()}, {Variant: unpatched}}
	if p := onreal.Program(t); p != (program.Program{}) {
		sides[1].Variant, sides[1].Program = Stock(), p
	}
	var said [2][]string
	for i, side := range sides {
		h := history.New()
		c, err := etcd.Start(ctx, etcd.Config{Members: 1, Dir: t.TempDir(), History: h,
			Programs: program.Alike(side.Program)})
		require.NoError(t, err)
		defer func() { require.NoError(t, c.Close()) }()
		m1 := Upstream{Name: "m1", Addr: c.Members[0].Endpoint()}
		p, err := Start(ctx, Config{Name: "p1", Variant: side.Variant, History: h, Upstream: []Upstream{m1},
			Program: side.Program, Dir: t.TempDir()})
		require.NoError(t, err)
		defer func() { require.NoError(t, p.Close()) }()
		conn, err := grpc.NewClient("passthrough:///"+p.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
		require.NoError(t, err)
		defer conn.Close()
		said[i] = converse(ctx, rand.New(rand.NewPCG(seed, 0)), pb.NewKVClient(conn))
	}
	for n := range said[0] {
		require.Equal(t, said[0][n], said[1][n], "seed %d, request %d", seed, n)
	}
}

// converse makes requests of every form, and returns what each came to.
func converse(ctx context.Context, r *rand.Rand, kv pb.KVClient) (said []string) {
	revision := int64(1)
	for n := range 1000 {
		var md metadata.MD
		var resp interface{ GetHeader() *pb.ResponseHeader }
		var err error
		var req fmt.Stringer
		switch kind := r.IntN(100); {
		case kind < 10:
			put := &pb.PutRequest{Key: someKey(r), Value: fmt.Append(nil, revision), PrevKv: r.IntN(2) == 0}
			req = put
			resp, err = kv.Put(ctx, put, grpc.Trailer(&md))
		case kind < 20:
			del := someDelete(r)
			req = del
			resp, err = kv.DeleteRange(ctx, del, grpc.Trailer(&md))
		case kind < 30:
			txn := someTxn(r, revision, 2)
			req = txn
			resp, err = kv.Txn(ctx, txn, grpc.Trailer(&md))
		case kind < 40 && n > 850: // what is compacted through the proxy it caches no more
			compact := &pb.CompactionRequest{Revision: max(revision-r.Int64N(20), 1), Physical: true}
			req = compact
			resp, err = kv.Compact(ctx, compact, grpc.Trailer(&md))
		default:
			read := someRange(r, revision)
			req = read
			resp, err = kv.Range(ctx, read, grpc.Trailer(&md))
		}
		if err != nil {
			said = append(said, fmt.Sprint(req, " refused: ", status.Convert(err).Message()))
			continue
		}
		h := resp.GetHeader()
		revision = max(revision, h.GetRevision())
		at := h.GetRevision()
		h.Reset() // ids and terms are each cluster's own
		said = append(said, fmt.Sprint(req, " ", md.Get(TrailerSource), " at ", at, ": ", resp))
	}
	return said
}

func someKey(r *rand.Rand) []byte { return fmt.Appendf(nil, "k%d", r.IntN(4)) }

// someEnd is the end of a range from key on: of one key, of a few, of a prefix, of everything.
func someEnd(r *rand.Rand, key []byte) []byte {
	switch r.IntN(4) {
	case 0:
		return fmt.Appendf(nil, "k%d", r.IntN(5))
	case 1:
		return []byte(keys.PrefixEnd(string(key[:1])))
	case 2:
		return []byte(keys.FromKey)
	}
	return nil
}

func someRange(r *rand.Rand, revision int64) *pb.RangeRequest {
	key := someKey(r)
	in := &pb.RangeRequest{Key: key, RangeEnd: someEnd(r, key), Serializable: r.IntN(4) > 0}
	few := func() bool { return r.IntN(6) == 0 }
	if few() {
		in.Limit = 1 + r.Int64N(3)
	}
	if few() {
		in.SortOrder, in.SortTarget = pb.RangeRequest_SortOrder(r.IntN(3)), pb.RangeRequest_SortTarget(r.IntN(5))
	}
	in.KeysOnly, in.CountOnly = few(), few()
	if few() {
		in.Revision = max(revision-r.Int64N(5), 1)
	}
	for _, bound := range []*int64{&in.MinModRevision, &in.MaxModRevision, &in.MinCreateRevision, &in.MaxCreateRevision} {
		if r.IntN(12) == 0 {
			*bound = max(revision-r.Int64N(8), 1)
		}
	}
	return in
}

func someDelete(r *rand.Rand) *pb.DeleteRangeRequest {
	key := someKey(r)
	return &pb.DeleteRangeRequest{Key: key, RangeEnd: someEnd(r, key), PrevKv: r.IntN(2) == 0}
}

// someTxn compares and does a few things, with transactions inside down to a depth.
func someTxn(r *rand.Rand, revision int64, depth int) *pb.TxnRequest {
	some := func() (ops []*pb.RequestOp) {
		for i := range r.IntN(3) {
			switch r.IntN(4) {
			case 0: // a key of its own: etcd refuses to put one twice
				put := &pb.PutRequest{Key: fmt.Appendf(nil, "k%d", (depth+2*i)%4), Value: []byte("txn")}
				ops = append(ops, &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: put}})
			case 1:
				ops = append(ops, &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: someDelete(r)}})
			case 2:
				if depth > 0 {
					ops = append(ops, &pb.RequestOp{Request: &pb.RequestOp_RequestTxn{RequestTxn: someTxn(r, revision, depth-1)}})
				}
			default:
				ops = append(ops, &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: someRange(r, revision)}})
			}
		}
		return ops
	}
	in := &pb.TxnRequest{Success: some(), Failure: some()}
	for range r.IntN(3) {
		key := someKey(r)
		in.Compare = append(in.Compare, &pb.Compare{Key: key, RangeEnd: someEnd(r, key), Target: pb.Compare_VERSION,
			Result: pb.Compare_GREATER, TargetUnion: &pb.Compare_Version{Version: r.Int64N(2)}})
	}
	return in
}
