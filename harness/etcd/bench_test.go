package etcd

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/history"
)

// BenchmarkBoot is a cluster of three from nothing until each member has answered a linearizable read.
func BenchmarkBoot(b *testing.B) {
	lives(b, 0, func(boot, _ time.Duration) time.Duration { return boot })
}

// BenchmarkClose is the end of a cluster of three.
func BenchmarkClose(b *testing.B) {
	lives(b, 0, func(_, end time.Duration) time.Duration { return end })
}

// BenchmarkCloseWatched is the end of a cluster of three with ten watches open on each member.
func BenchmarkCloseWatched(b *testing.B) {
	lives(b, 10, func(_, end time.Duration) time.Duration { return end })
}

// lives boots and closes b.N clusters and reports the median and the worst of what pick picks.
func lives(b *testing.B, watches int, pick func(boot, end time.Duration) time.Duration) {
	var times []time.Duration
	for range b.N {
		dir := b.TempDir()
		began := time.Now()
		c, err := Start(b.Context(), Config{Members: 3, Dir: dir, History: history.New()})
		require.NoError(b, err)
		boot := time.Since(began)
		for _, m := range c.Members {
			for range watches {
				m.Client().Watch(context.Background(), "/") // returns once the member watches
			}
		}
		began = time.Now()
		require.NoError(b, c.Close())
		times = append(times, pick(boot, time.Since(began)))
	}
	slices.Sort(times)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(milliseconds(times[len(times)/2]), "median-ms")
	b.ReportMetric(milliseconds(times[len(times)-1]), "worst-ms")
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
