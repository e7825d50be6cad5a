//go:build real

package proxy

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"ghostroute/harness/etcd"
	"ghostroute/harness/history"
	"ghostroute/harness/onreal"
	"ghostroute/harness/program"
)

// BenchmarkProcess is a serializable read that a process answers from its cache, and one that it asks a member for:
// asked at the process itself, and before the relay that stands before it, in turn: the machine is the same for both.
func BenchmarkProcess(b *testing.B) {
	ctx, h, run := context.Background(), history.New(), onreal.Program(b)
	c, err := etcd.Start(ctx, etcd.Config{Members: 1, Dir: b.TempDir(), History: h, Programs: program.Alike(run)})
	require.NoError(b, err)
	defer c.Close()
	p, err := Start(ctx, Config{Name: "p1", History: h, Program: run, Dir: b.TempDir(),
		Upstream: []Upstream{{Name: "m1", Addr: c.Members[0].Endpoint()}}})
	require.NoError(b, err)
	defer p.Close()
	_, err = c.Client().Put(ctx, "k/1", string(make([]byte, 200)))
	require.NoError(b, err)
	ways := map[string]*clientv3.Client{}
	for way, addr := range map[string]string{"itself": p.outside.inner.Addr(), "relay": p.Addr()} {
		ways[way], err = clientv3.New(clientv3.Config{Endpoints: []string{addr}, Logger: zap.NewNop()})
		require.NoError(b, err)
		defer ways[way].Close()
	}
	for name, opts := range map[string][]clientv3.OpOption{"hit": {clientv3.WithSerializable()}, "linearizable": nil} {
		b.Run(name, func(b *testing.B) {
			took := map[string][]time.Duration{}
			for b.Loop() {
				for way, client := range ways {
					began := time.Now()
					_, err := client.Get(ctx, "k/", append(opts, clientv3.WithPrefix())...)
					took[way] = append(took[way], time.Since(began))
					require.NoError(b, err)
				}
			}
			for way, all := range took {
				slices.Sort(all)
				b.ReportMetric(float64(all[len(all)/2].Nanoseconds())/1000, way+"-p50-µs")
			}
		})
	}
}
