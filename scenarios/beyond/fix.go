package beyond

import (
	"ghostroute/harness/grpcproxy"
	"ghostroute/harness/proxy"
)

// Fixes lists every fix. The first is none at all, the last all cures at once.
func Fixes() []Fix {
	all := []Fix{
		{Name: "none", Title: "a stock grpc-proxy"},
		{Name: "no-proxy", Title: "clients ask the members", Direct: true},
		{Name: "l4-gateway", Title: "etcd's L4 gateway", Source: "etcd gateway", Variant: proxy.L4()},
		{Name: "cache-off", Title: "a proxy that keeps no answers", Source: "etcd PR 15254", Variant: proxy.CacheOff()},
	}
	for _, v := range proxy.Cured() {
		all = append(all, Fix{Name: v.Name, Title: v.Claim, Source: v.Source, Variant: v})
	}
	return append(all,
		Fix{Name: "unadvertised", Title: "a proxy that passes the list of members on",
			Source: "etcd grpc-proxy --advertise-client-url=''", Silent: true},
		Fix{Name: "all", Silent: true, Title: "all cures at once, and no cache", Variant: allCured()})
}

// allCured has the cures at once.
func allCured() proxy.Variant {
	v := proxy.CacheOff()
	v.Name, v.Claim = "all", "every promise that a proxy can keep is kept"
	v.Cures = grpcproxy.Cures{RequireLeader: true, PerIdentity: true, Told: true, Reached: true, Slow: true, Probe: true,
		LeaseToken: true}
	return v
}
