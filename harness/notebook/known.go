package notebook

import (
	"slices"
)

func (nb *Notebook) proxyNames() []string {
	var names []string
	if nb.bench != nil {
		for _, p := range nb.bench.Proxies() {
			names = append(names, p.Name())
		}
	}
	return names
}

func (nb *Notebook) memberNames() []string {
	var names []string
	if nb.bench != nil {
		for _, m := range nb.bench.Cluster.Members {
			names = append(names, m.Name)
		}
	}
	return names
}

func (nb *Notebook) gatewayNames() []string {
	var names []string
	if nb.bench != nil {
		for _, g := range nb.bench.Gateways() {
			names = append(names, g.Name())
		}
	}
	return names
}

func (nb *Notebook) instanceNames() []string { return slices.Clone(nb.instances) }
func (nb *Notebook) clientNames() []string   { return slices.Clone(nb.clients) }

func (nb *Notebook) fixNames() []string {
	var names []string
	for _, f := range nb.opts.Fixes {
		names = append(names, f.Name)
	}
	return names
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
