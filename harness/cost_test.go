package harness_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness"
	"ghostroute/harness/balancer"
	"ghostroute/harness/etcd"
	"ghostroute/harness/history"
	"ghostroute/harness/onreal"
	"ghostroute/harness/program"
	"ghostroute/harness/proxy"
)

// BenchmarkBench is the whole topology of the incident, from nothing until every gateway answered 200, and back to
// nothing. Its figures are medians, in milliseconds.
func BenchmarkBench(b *testing.B) {
	ctx, run := context.Background(), onreal.Program(b)
	var start, end []time.Duration
	for b.Loop() {
		began := time.Now()
		bench, err := harness.Open(ctx, harness.Topology{Etcd: program.Alike(run), Proxy: run})
		require.NoError(b, err)
		for _, g := range bench.Gateways() {
			_, requests := bench.Look(ctx, g.Name())
			for _, r := range requests {
				require.Equal(b, 200, r.Status)
			}
		}
		start = append(start, time.Since(began))
		began = time.Now()
		require.NoError(b, bench.Close())
		end = append(end, time.Since(began))
	}
	b.ReportMetric(median(start), "start-ms")
	b.ReportMetric(median(end), "close-ms")
}

func median(all []time.Duration) float64 {
	slices.Sort(all)
	return float64(all[len(all)/2].Microseconds()) / 1000
}

// BenchmarkCacheHit is a serializable read that a proxy answers from its cache, through a VIP, with provenance and
// gates and without.
func BenchmarkCacheHit(b *testing.B) {
	for _, bare := range []bool{true, false} {
		name := "with-provenance"
		if bare {
			name = "without"
		}
		b.Run(name, func(b *testing.B) {
			ctx := context.Background()
			h := history.New()
			c, err := etcd.Start(ctx, etcd.Config{Members: 1, Dir: b.TempDir(), History: h})
			require.NoError(b, err)
			defer c.Close()
			p, err := proxy.Start(ctx, proxy.Config{Name: "p1", History: h, Bare: bare,
				Upstream: []proxy.Upstream{{Name: "m1", Addr: c.Members[0].Endpoint()}}})
			require.NoError(b, err)
			defer p.Close()
			lb, err := balancer.New(h, []balancer.Backend{{Name: "p1", Addr: p.Addr(), Weight: 1}})
			require.NoError(b, err)
			defer lb.Close()
			vip, err := lb.VIP("g1")
			require.NoError(b, err)
			client, err := clientv3.New(clientv3.Config{Endpoints: []string{vip.Addr()}})
			require.NoError(b, err)
			defer client.Close()
			for _, k := range []string{"/micro/registry/hello/hello-v1-a", "/micro/registry/hello/hello-v1-b"} {
				_, err = c.Client().Put(ctx, k, string(make([]byte, 200)))
				require.NoError(b, err)
			}
			kv := pb.NewKVClient(client.ActiveConnection())
			req := &pb.RangeRequest{Key: []byte("/micro/registry/hello/"),
				RangeEnd: []byte("/micro/registry/hello0"), Serializable: true}
			for b.Loop() {
				r, err := kv.Range(ctx, req)
				require.NoError(b, err)
				require.Len(b, r.Kvs, 2)
			}
		})
	}
}
