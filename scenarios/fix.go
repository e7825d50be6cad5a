package scenarios

import (
	"time"

	"ghostroute/harness"
	"ghostroute/harness/explore/check"
	"ghostroute/harness/explore/hunt"
	"ghostroute/harness/explore/lab"
	"ghostroute/harness/proxy"
	"ghostroute/harness/registry"
	"ghostroute/harness/text"
)

// Fix is something that is said to cure the incident.
type Fix struct {
	Name    string // "ttl"
	Title   string
	Source  string // who proposed it, and where
	Claims  string // what it is said to do
	GivesUp string // what it takes away that the proxies were there for

	Apply func(*harness.Topology) // what it changes about the topology; nil for nothing
	// what an operator does before the change, while everybody is connected; nil for nothing
	Deploy func(*Trial) error
	Remedy func(*Trial) error // what an operator does once ghosts have been seen; nil for nothing

	// Promises are what Claims would mean if it were so, by the names of the explorer's checks. One that was refuted
	// stays: it is what is said. A fix of GetService only, or of requests and not of reads, has none: every check is
	// about a whole history of reads.
	Promises []string
	Through  bool // Promises are of what proxies answer, and not of members that are asked past them
	// what it does to the explorer's labs where that is another thing than Apply; nil for nothing
	Lab func(*lab.Config)
}

// Checks are the explorer's checks of these names, with commas between, or "all", of what the fix is about.
func (f Fix) Checks(names string) ([]check.Check, error) {
	all, err := hunt.Checks(names)
	for i := range all {
		if f.Through {
			all[i] = check.Through(all[i])
		}
	}
	return all, err
}

// Fixes lists every fix. The first is none at all, the last the control: no proxy and no serializable read.
func Fixes() []Fix {
	return []Fix{
		{Name: "none", Title: "as the incident had it",
			Source: "go-micro v2, stock grpc-proxies behind round robin"},

		{Name: "get-linearizable", Title: "GetService linearizable",
			Source: "what the incident's team did first: WithSerializable dropped from one line of registry/etcd/etcd.go",
			Claims: "a gateway that has it sees truth",
			Apply:  func(t *harness.Topology) { t.Mode = registry.LinearizableGet; t.Modes = nil }},

		{Name: "all-linearizable", Title: "every registry read linearizable",
			Source:   "the same change, made in ListServices and in Register's lookup too",
			Claims:   "everything a client asks the registry is answered by etcd",
			Apply:    func(t *harness.Topology) { t.Mode = registry.Linearizable; t.Modes = nil },
			Promises: everything()},

		{Name: "weights", Title: "one proxy by weights 1, 0, 0",
			Source:   "what the incident's team did last",
			Claims:   "everything passes one proxy, so every write clears the one cache there is",
			GivesUp:  "two of three proxies",
			Deploy:   func(t *Trial) error { return t.onlyFirstProxy(false) },
			Promises: []string{"own-writes", "convergence"},
			Lab:      inOneProxy},

		{Name: "weights-drain", Title: "one proxy by weights, the others drained",
			Source:   "what the weights were meant to do: LVS leaves established connections where they are",
			Claims:   "the same, without waiting for every client to reconnect",
			GivesUp:  "two of three proxies, and every connection once",
			Deploy:   func(t *Trial) error { return t.onlyFirstProxy(true) },
			Promises: []string{"own-writes", "convergence"},
			Lab:      inOneProxy},

		{Name: "sticky", Title: "source affinity",
			Source:   "LVS persistence; etcd PR 14478's authors run it",
			Claims:   "a client always meets the same proxy, so it reads its own writes",
			Apply:    func(t *harness.Topology) { t.Sticky = true },
			Promises: []string{"own-writes"}},

		{Name: "no-proxy", Title: "no proxy",
			Source:   "clients are given the members",
			Claims:   "a serializable read is as old as the member that answers, no older",
			GivesUp:  "coalesced watches, and members that can be replaced unnoticed",
			Apply:    direct,
			Promises: []string{"digest", "identity"}},

		{Name: "l4-gateway", Title: "etcd's L4 gateway",
			Source:   "etcd gateway (server/proxy/tcpproxy) in place of grpc-proxy",
			Claims:   "the same, and clients need not know the members",
			GivesUp:  "coalesced watches and leases",
			Apply:    variant(proxy.L4()),
			Promises: []string{"digest", "identity"}},

		{Name: "ordering", Title: "serializable ordering",
			Source: proxy.Ordering().Source, Claims: proxy.Ordering().Claim,
			Apply:    variant(proxy.Ordering()),
			Promises: []string{"monotonic"}},

		{Name: "leasing", Title: "leasing",
			Source: proxy.Leasing("").Source, Claims: proxy.Leasing("").Claim,
			Apply:    variant(proxy.Leasing("")),
			Promises: []string{"own-writes"}},

		{Name: "scatter", Title: "deregister through every proxy",
			Source:   "a client that knows the proxies, or a hook of the balancer's",
			Claims:   "every cache is cleared by a write of its own",
			GivesUp:  "clients that need not know the proxies",
			Apply:    func(t *harness.Topology) { t.Scatter = true },
			Promises: []string{"convergence"}},

		{Name: "restart-proxies", Title: "restart the proxies",
			Source:   "what an operator does at three in the morning",
			Claims:   "their caches are gone",
			GivesUp:  "every connection, each time",
			Remedy:   func(t *Trial) error { return t.restart(t.everyProxy()...) },
			Promises: []string{"convergence"},
			Lab:      func(c *lab.Config) { c.Restart = true }},

		{Name: "scrubber", Title: "a scrubber",
			Source:   "a cron job: etcdctl get --prefix through every proxy; looking heals",
			Claims:   "no entry is older than its interval",
			GivesUp:  "linearizable reads of the whole registry, again and again",
			Apply:    func(t *harness.Topology) { t.Scrub = 20 * time.Millisecond },
			Promises: []string{"convergence"},
			Lab:      soon},

		{Name: "evict", Title: "an evicter",
			Source: "a cron job: an empty transaction through every proxy; it clears what it compares (grpcproxy/kv.go:121, " +
				"Txn), which nobody had used",
			Claims:   "no entry but those from a key on is older than its interval, and the members send nothing for it",
			GivesUp:  "cached answers, again and again",
			Apply:    func(t *harness.Topology) { t.Scrub, t.Evict = 20*time.Millisecond, true },
			Promises: []string{"convergence"},
			Lab:      soon},

		{Name: "retry", Title: "gateways try another instance",
			Source: "a retry on dial errors, which go-micro's http handler does not have",
			Claims: "no 502 while one instance of those named is alive",
			Apply:  func(t *harness.Topology) { t.Retry = 3 }},

		{Name: "upgrade", Title: "the proxy makes reads linearizable",
			Source: proxy.Upgrade().Source, Claims: proxy.Upgrade().Claim,
			GivesUp:  "the proxy's cache",
			Apply:    variant(proxy.Upgrade()),
			Promises: everything()},

		{Name: "cache-off", Title: "the proxy's cache off",
			Source: proxy.CacheOff().Source, Claims: proxy.CacheOff().Claim,
			GivesUp:  "the proxy's cache",
			Apply:    variant(proxy.CacheOff()),
			Promises: []string{"digest", "convergence", "identity"}},

		{Name: "ttl", Title: "cached answers expire",
			Source: proxy.TTL(proxyTTL).Source, Claims: "no cached answer is older than the TTL",
			Apply:    variant(proxy.TTL(proxyTTL)),
			Promises: []string{"bounded", "convergence"},
			Lab:      func(c *lab.Config) { c.Topology.Variant, c.Heals = proxy.TTL(0), 400*time.Millisecond }},

		{Name: "invalidate-after", Title: "invalidate after the write",
			Source: proxy.InvalidateAfter().Source, Claims: proxy.InvalidateAfter().Claim,
			Apply:    variant(proxy.InvalidateAfter()),
			Promises: []string{"convergence"}},

		{Name: "by-identity", Title: "cache keyed by identity",
			Source: proxy.ByIdentity().Source, Claims: proxy.ByIdentity().Claim,
			Apply:    variant(proxy.ByIdentity()),
			Promises: []string{"identity"}},

		{Name: "open-ended", Title: "open-ended ranges indexed",
			Source: proxy.OpenEnded().Source, Claims: proxy.OpenEnded().Claim,
			Apply: variant(proxy.OpenEnded())},

		{Name: "watch", Title: "invalidation by watch",
			Source: proxy.Watching().Source, Claims: proxy.Watching().Claim,
			Apply:    variant(proxy.Watching()),
			Promises: []string{"convergence"},
			Lab:      soon},

		{Name: "revalidate", Title: "cached answers are confirmed",
			Source: proxy.Revalidate().Source, Claims: proxy.Revalidate().Claim,
			GivesUp:  "serializable reads while there is no quorum",
			Apply:    variant(proxy.Revalidate()),
			Promises: everything(), Through: true},

		{Name: "consistent", Title: "a linearizable cache",
			Source: proxy.Consistent().Source, Claims: proxy.Consistent().Claim,
			GivesUp:  "answers while there is no quorum, and the cache where authentication is on",
			Apply:    variant(proxy.Consistent()),
			Promises: everything(), Through: true},

		{Name: "coherent", Title: "a cache of bounded staleness",
			Source: proxy.Coherent(0).Source,
			Claims: "no answer is older than its bound, and none is older than what its proxy has told of before",
			GivesUp: "answers while there is no quorum, the cache where authentication is on, and reads that see what " +
				"another proxy has just told",
			Apply:    variant(proxy.Coherent(2 * proxyTTL)), // every trial looks before half of it is over
			Promises: []string{"bounded", "digest", "convergence", "identity"}, Through: true,
			Lab: func(c *lab.Config) { c.Topology.Variant, c.Heals = proxy.Coherent(0), 500*time.Millisecond }},

		{Name: "control", Title: "no proxy, linearizable",
			Source:   "the control arm: what is wrong here is not the proxies' doing",
			Claims:   "nothing is ever stale, but what a client itself remembers",
			GivesUp:  "everything the proxies were there for",
			Apply:    func(t *harness.Topology) { direct(t); t.Mode = registry.Linearizable; t.Modes = nil },
			Promises: everything()},
	}
}

// proxyTTL is the age at which entries expire under the ttl fix: longer than anything a trial does between the refill
// that makes the schedule the worst and its first look, so that the ghost is always met, on a busy machine too.
const proxyTTL = 3 * time.Second

// inOneProxy is a lab in which every client has come to p1, as with weights 1, 0, 0 once all have reconnected.
func inOneProxy(c *lab.Config) { c.OneProxy = true }

// soon is how long a plan is given where a trial waits for the scrubber's pass or the watch's delivery.
func soon(c *lab.Config) { c.Heals = 300 * time.Millisecond }

func direct(t *harness.Topology) {
	t.Direct, t.Variant, t.Sticky = true, proxy.Stock(), false
}

func variant(v proxy.Variant) func(*harness.Topology) {
	return func(t *harness.Topology) { t.Variant = v }
}

// FixNames are the names of all fixes.
func FixNames() []string { return text.Each(Fixes(), Fix.name) }

// FixNamed finds a fix. The error of one that is not there lists those that are.
func FixNamed(name string) (Fix, error) { return text.Find("fix", name, Fixes(), Fix.name) }

func (f Fix) name() string { return f.Name }
