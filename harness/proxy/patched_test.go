package proxy

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/proxy/grpcproxy/cache"

	"ghostroute/harness/etcd"
	"ghostroute/harness/history"
)

// With upstream's cache and nothing patched, patchedKV answers as stock does: the same values, from the same place.
// Each proxy has keys of its own, and is told the same.
func TestPatchedKVIsStock(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	h := history.New()
	c, err := etcd.Start(ctx, etcd.Config{Members: 1, Dir: t.TempDir(), History: h})
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	unpatched := Variant{Name: "unpatched", kv: func(w *Wiring) pb.KVServer {
		return oneCache(w, cache.NewCache(cache.DefaultMaxEntries))
	}}

	var answers [2][]string
	seed := rand.Uint64()
	for i, v := range []Variant{Stock(), unpatched} {
		m1 := Upstream{Name: "m1", Addr: c.Members[0].Endpoint()}
		p, err := Start(ctx, Config{Name: "p1", Variant: v, History: h, Upstream: []Upstream{m1}})
		require.NoError(t, err)
		defer func() { require.NoError(t, p.Close()) }()
		client, err := clientv3.New(clientv3.Config{Endpoints: []string{p.Addr()}})
		require.NoError(t, err)
		defer client.Close()
		r := rand.New(rand.NewPCG(seed, 0))
		for n := range 300 {
			key := fmt.Sprintf("%d/%d", i, r.IntN(4))
			switch r.IntN(6) {
			case 0:
				_, err = client.Put(ctx, key, fmt.Sprint(n))
			case 1:
				_, err = client.Delete(ctx, key)
			case 2:
				_, err = client.Txn(ctx).If(clientv3.Compare(clientv3.Version(key), ">", 0)).
					Then(clientv3.OpDelete(key)).Else(clientv3.OpPut(key, "e"), clientv3.OpGet(key)).Commit()
			default:
				var md metadata.MD
				req := &pb.RangeRequest{Key: []byte(key), Serializable: r.IntN(4) > 0}
				if r.IntN(2) == 0 {
					req.Key, req.RangeEnd = fmt.Appendf(nil, "%d/", i), fmt.Appendf(nil, "%d0", i)
				}
				resp, rerr := pb.NewKVClient(client.ActiveConnection()).Range(ctx, req, grpc.Header(&md))
				require.NoError(t, rerr)
				said := fmt.Sprint(n, md.Get(HeaderSource))
				for _, kv := range resp.Kvs {
					said += fmt.Sprintf(" %s=%s", kv.Key[2:], kv.Value)
				}
				answers[i] = append(answers[i], said)
			}
			require.NoError(t, err)
		}
	}
	require.NotEmpty(t, answers[0])
	require.Equal(t, answers[0], answers[1], "seed %d", seed)
}
