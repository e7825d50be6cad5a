// Package peerbench measures a peer: three bare members of etcd's own integration framework, booted and closed as
// BenchmarkBoot and BenchmarkCloseWatched of harness/etcd boot and close ours. It is a module of its own so that nobody
// downloads the framework who does not ask for it:
//
//	cd harness/etcd/peerbench && go test -bench . -benchtime 10x
package peerbench

import (
	"context"
	"slices"
	"testing"
	"time"

	"go.etcd.io/etcd/tests/v3/framework/integration"
)

// BenchmarkFramework is a cluster of three from nothing to a linearizable read answered by each, and closed. It reports
// the medians.
func BenchmarkFramework(b *testing.B) { framework(b, 0) }

// BenchmarkFrameworkWatched is the same, closed with ten watches open on each member.
func BenchmarkFrameworkWatched(b *testing.B) { framework(b, 10) }

func framework(b *testing.B, watches int) {
	integration.BeforeTestExternal(b)
	var boot, closing []time.Duration
	for range b.N {
		began := time.Now()
		c := integration.NewCluster(b, &integration.ClusterConfig{Size: 3})
		for _, m := range c.Members {
			if _, err := m.Client.Get(b.Context(), "/"); err != nil {
				b.Fatal(err)
			}
		}
		boot = append(boot, time.Since(began))
		for _, m := range c.Members {
			for range watches {
				m.Client.Watch(context.Background(), "/")
			}
		}
		began = time.Now()
		c.Terminate(b)
		closing = append(closing, time.Since(began))
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(boot), "boot-ms")
	b.ReportMetric(median(closing), "close-ms")
}

// median is the median of times, in milliseconds.
func median(times []time.Duration) float64 {
	slices.Sort(times)
	return float64(times[len(times)/2].Microseconds()) / 1000
}
