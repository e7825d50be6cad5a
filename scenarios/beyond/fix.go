package beyond

import (
	"ghostroute/harness/grpcproxy"
	"ghostroute/harness/proxy"
)

// Fixes lists every fix. The first is none at all, the last all cures at once.
func Fixes() []Fix {
	cured := func(name, title, source string, c grpcproxy.Cures) Fix {
		return Fix{Name: name, Title: title, Source: source, Variant: proxy.Cured(name, source, title, c)}
	}
	return []Fix{
		{Name: "none", Title: "a stock grpc-proxy"},
		{Name: "no-proxy", Title: "clients ask the members", Direct: true},
		{Name: "l4-gateway", Title: "etcd's L4 gateway", Source: "etcd gateway", Variant: proxy.L4()},
		{Name: "cache-off", Title: "a proxy that keeps no answers", Source: "etcd PR 15254", Variant: proxy.CacheOff()},
		cured("require-leader", "the wish for a leader is looked for in the incoming metadata",
			"ours: a word in two lines", grpcproxy.Cures{RequireLeader: true}),
		cured("per-identity", "one upstream watch stream for each token", "etcd PR 19033, simply done",
			grpcproxy.Cures{PerIdentity: true}),
		cured("told", "why an upstream watch ended is passed on, and nobody joins one that has", "etcd PRs 21814, 10650",
			grpcproxy.Cures{Told: true}),
		cured("reached", "a Created names the revision that is reached", "ours: two lines",
			grpcproxy.Cures{Reached: true}),
		cured("slow", "the stream of a client that does not keep up ends as unavailable, not as cancelled",
			"ours: three lines", grpcproxy.Cures{Slow: true}),
		cured("probe", "a refusal of the leader's probe shows that there is a leader, and it rests a second",
			"ours: five lines", grpcproxy.Cures{Probe: true}),
		cured("lease-token", "leases are renewed with their client's token", "ours: thirty lines",
			grpcproxy.Cures{LeaseToken: true}),
		{Name: "unadvertised", Title: "a proxy that passes the list of members on",
			Source: "etcd grpc-proxy --advertise-client-url=''", Silent: true},
		{Name: "all", Silent: true, Title: "all cures at once, and no cache", Variant: all()},
	}
}

// all are the cures at once.
func all() proxy.Variant {
	v := proxy.CacheOff()
	v.Name, v.Claim = "all", "every promise that a proxy can keep is kept"
	v.Cures = grpcproxy.Cures{RequireLeader: true, PerIdentity: true, Told: true, Reached: true, Slow: true, Probe: true,
		LeaseToken: true}
	return v
}
