package notebook

import (
	"slices"

	"ghostroute/harness/etcd"
	"ghostroute/harness/gateway"
	"ghostroute/harness/proxy"
)

// named is the name of each of them.
func named[T any](all []T, name func(T) string) []string {
	var names []string
	for _, x := range all {
		names = append(names, name(x))
	}
	return names
}

func (nb *Notebook) proxyNames() []string { return named(nb.bench.Proxies(), (*proxy.Proxy).Name) }
func (nb *Notebook) memberNames() []string {
	return named(nb.bench.Cluster.Members, func(m *etcd.Member) string { return m.Name })
}
func (nb *Notebook) gatewayNames() []string {
	return named(nb.bench.Gateways(), (*gateway.Gateway).Name)
}
func (nb *Notebook) instanceNames() []string { return nb.instances }
func (nb *Notebook) clientNames() []string   { return nb.clients }
func (nb *Notebook) scenarioNames() []string { return nb.opts.Scenarios }
func (nb *Notebook) fixNames() []string      { return named(nb.opts.Fixes, Fix.name) }
func (nb *Notebook) topologyFixNames() []string {
	return named(slices.DeleteFunc(slices.Clone(nb.opts.Fixes), func(f Fix) bool { return f.Operator }), Fix.name)
}
