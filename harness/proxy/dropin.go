package proxy

import (
	"ghostroute/harness/program"
	"ghostroute/harness/proxy/fresh"
)

// dropIn are the modes of the drop-in's grpc-proxy that are variants. Its watched caches are none: they pass on whoever
// has a token, as everybody has behind the relays that stand around a process; they would be judged without caches.
var dropIn = map[string]fresh.Mode{Revalidate().Name: fresh.Revalidate, CacheOff().Name: fresh.Off}

// Lacks says why a proxy that is a process of this program cannot be this variant, "" where it can.
func (v Variant) Lacks(p program.Program) string {
	if v.flags(p) != nil {
		return ""
	}
	return v.Internal()
}

// flags are those of etcd grpc-proxy start by which a process of this program comes to be it, nil where there are none.
func (v Variant) flags(p program.Program) []string {
	if mode := dropIn[v.Name]; mode != "" && p.Caches {
		return []string{"--experimental-kv-cache=" + string(mode)}
	}
	return v.Flags
}
