package etcd

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/history"
)

// BenchmarkEventBeforeItsRevision measures how long an event is out before a member answers serializable reads at its
// revision (mvcc/watchable_store_txn.go:43-46 notifies, then ends the transaction), inside the member, where nothing
// hides it: how often, and for how long, beside so many other watches of the same key.
func BenchmarkEventBeforeItsRevision(b *testing.B) {
	for _, others := range []int{0, 1000, 10000} {
		b.Run(fmt.Sprintf("%d-others", others), func(b *testing.B) {
			c, err := Start(soon(b), Config{Members: 1, Dir: b.TempDir(), History: history.New()})
			require.NoError(b, err)
			b.Cleanup(func() { require.NoError(b, c.Close()) })
			n := c.running()[0].server.(*embedded)
			server := n.etcd.Server
			ctx, cancel := context.WithCancel(b.Context())
			crowd := server.Watchable().NewWatchStream()
			defer crowd.Close()
			for range others {
				_, err := crowd.Watch(ctx, 0, []byte("k"), nil, 0)
				require.NoError(b, err)
			}
			drained := make(chan struct{})
			go func() {
				defer close(drained)
				for {
					select {
					case <-crowd.Chan():
					case <-ctx.Done():
						return
					}
				}
			}()
			own := server.Watchable().NewWatchStream()
			defer own.Close()
			_, err = own.Watch(ctx, 0, []byte("k"), nil, 0)
			require.NoError(b, err)
			early, width, widest := 0, time.Duration(0), time.Duration(0)
			for b.Loop() {
				put := make(chan error, 1)
				go func() {
					_, err := n.local.Put(b.Context(), "k", "v")
					put <- err
				}()
				r := <-own.Chan()
				told := time.Now()
				if rev := r.Events[0].Kv.ModRevision; server.KV().Rev() < rev {
					early++
					for server.KV().Rev() < rev {
					}
					width += time.Since(told)
					widest = max(widest, time.Since(told))
				}
				require.NoError(b, <-put)
			}
			cancel()
			<-drained
			b.ReportMetric(float64(early)/float64(b.N), "early/event")
			if early > 0 {
				b.ReportMetric(float64(width.Microseconds())/float64(early), "µs-early")
				b.ReportMetric(float64(widest.Microseconds()), "µs-widest")
			}
		})
	}
}
