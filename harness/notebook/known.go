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

func (nb *Notebook) proxyNames() []string {
	if nb.bench == nil {
		return nil
	}
	return named(nb.bench.Proxies(), (*proxy.Proxy).Name)
}

func (nb *Notebook) memberNames() []string {
	if nb.bench == nil {
		return nil
	}
	return named(nb.bench.Cluster.Members, func(m *etcd.Member) string { return m.Name })
}

func (nb *Notebook) gatewayNames() []string {
	if nb.bench == nil {
		return nil
	}
	return named(nb.bench.Gateways(), (*gateway.Gateway).Name)
}

func (nb *Notebook) instanceNames() []string { return slices.Clone(nb.instances) }
func (nb *Notebook) clientNames() []string   { return slices.Clone(nb.clients) }
func (nb *Notebook) fixNames() []string {
	return named(nb.opts.Fixes, func(f Fix) string { return f.Name })
}

func (nb *Notebook) matrixFixes() []string {
	if nb.opts.Matrix == nil {
		return nil
	}
	return nb.opts.Matrix.Fixes()
}

func (nb *Notebook) scenarioNames() []string {
	if nb.opts.Matrix == nil {
		return nil
	}
	return nb.opts.Matrix.Scenarios()
}
