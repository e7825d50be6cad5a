package fresh

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// stats are what is told of any mode. What a mode does not have is nil, or 0.
type stats struct {
	hits, misses, confirmed int64
	passed, purges          map[string]int64
	answers                 int
	bytes                   int64
	watch                   *watchStats
}

type watchStats struct {
	stands   bool
	fenceAge time.Duration
	barriers int64
}

func statsOf(s FencedStats) stats {
	return stats{hits: s.Hits, misses: s.Misses, passed: s.Passed, purges: s.Purges, answers: s.Answers,
		bytes: s.Bytes, watch: &watchStats{stands: s.Live, fenceAge: s.FenceAge, barriers: s.Barriers}}
}

// metrics are a mode's, for Prometheus.
type metrics struct {
	mode Mode
	now  func() stats
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("etcd_grpc_proxy_kv_cache_"+name, help, labels, nil)
}

var (
	descMode      = desc("mode", "1 for the mode that is chosen.", "mode")
	descHits      = desc("hits_total", "Reads that found an answer kept; with revalidate it is still to be confirmed.")
	descConfirmed = desc("confirmed_total", "Kept answers that the members confirmed, with revalidate.")
	descMisses    = desc("misses_total", "Reads that found none, and were made to be kept.")
	descPassed    = desc("passed_total", "Reads that were passed on and not kept, by what kept them from being.", "why")
	descPurges    = desc("purges_total", "How often everything kept was forgotten, and why.", "why")
	descAnswers   = desc("answers", "Answers that are kept.")
	descBytes     = desc("kept_bytes", "What they take of memory, as an estimate.")
	descStands    = desc("watch_stands", "1 while the watch stands; reads are passed on while it does not.")
	descFence     = desc("fence_age_seconds",
		"What was acknowledged longer ago than this is in what is kept. It grows while nobody reads.")
	descBarriers = desc("barriers_total", "How often the members were asked for the present revision.")
)

func (m metrics) Describe(all chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descMode, descHits, descConfirmed, descMisses, descPassed, descPurges,
		descAnswers, descBytes, descStands, descFence, descBarriers} {
		all <- d
	}
}

func (m metrics) Collect(all chan<- prometheus.Metric) {
	s := m.now()
	tell := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
		all <- prometheus.MustNewConstMetric(d, kind, v, labels...)
	}
	tell(descMode, prometheus.GaugeValue, 1, string(m.mode))
	for why, n := range s.passed {
		tell(descPassed, prometheus.CounterValue, float64(n), why)
	}
	if m.mode == Off {
		return
	}
	tell(descHits, prometheus.CounterValue, float64(s.hits))
	tell(descMisses, prometheus.CounterValue, float64(s.misses))
	tell(descAnswers, prometheus.GaugeValue, float64(s.answers))
	tell(descBytes, prometheus.GaugeValue, float64(s.bytes))
	for why, n := range s.purges {
		tell(descPurges, prometheus.CounterValue, float64(n), why)
	}
	if s.watch == nil {
		tell(descConfirmed, prometheus.CounterValue, float64(s.confirmed))
		return
	}
	stands := 0.0
	if s.watch.stands {
		stands = 1
		tell(descFence, prometheus.GaugeValue, s.watch.fenceAge.Seconds())
	}
	tell(descStands, prometheus.GaugeValue, stands)
	tell(descBarriers, prometheus.CounterValue, float64(s.watch.barriers))
}
