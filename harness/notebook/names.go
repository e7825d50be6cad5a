package notebook

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"ghostroute/harness/etcd"
	"ghostroute/harness/gateway"
	"ghostroute/harness/history"
	"ghostroute/harness/keys"
	"ghostroute/harness/proxy"
	"ghostroute/harness/text"
)

var address = regexp.MustCompile(`127\.0\.0\.1:\d+`)

// rpcError is what gRPC and etcd put before an error's own words.
var rpcError = regexp.MustCompile(`rpc error: code = \w+ desc = |etcdserver: `)

// clean puts names in the place of addresses, which are others on every run, and leaves out what says no more than that
// it was an RPC.
func (nb *Notebook) clean(s string) string {
	known := map[string]string{}
	for _, m := range nb.bench.Cluster.Members {
		known[m.Endpoint()] = m.Name
	}
	for _, p := range nb.bench.Proxies() {
		known[p.Addr()] = p.Name()
	}
	for _, id := range nb.instances {
		known[nb.bench.Instance(id).Addr()] = id
	}
	s = strings.ReplaceAll(rpcError.ReplaceAllString(s, ""), "context deadline exceeded", "no answer in time")
	return address.ReplaceAllStringFunc(s, func(a string) string {
		if known[a] == "" {
			return "ADDRESS"
		}
		return known[a]
	})
}

// revision is a revision as the notebook counts: from its own beginning, where an empty etcd is at 1.
func (nb *Notebook) revision(r int64) int64 {
	if r == 0 {
		return 0 // not known
	}
	return r - nb.base
}

// keyName is a key in short: "hello/v1-a" for an instance's.
func keyName(key string) string {
	if service, id, ok := keys.Parse(key); ok {
		return service + "/" + id
	}
	return key
}

// rangeName is a range in short: a service for what GetService reads, "every service" for what ListServices reads.
func rangeName(key, end string) string {
	switch {
	case end == "":
		return keyName(key)
	case end == "\x00":
		return "from " + keyName(key) + " on"
	case key == keys.Registry:
		return "every service"
	}
	service, ours := strings.CutPrefix(key, keys.Registry)
	if service, whole := strings.CutSuffix(service, "/"); ours && whole && !strings.Contains(service, "/") {
		return service
	}
	return key + "…"
}

// ids names endpoints, as list does.
func ids(all []history.Endpoint) string {
	return list(history.IDs(all))
}

// list is names in a line, "nobody" where there are none.
func list(names []string) string {
	if len(names) == 0 {
		return "nobody"
	}
	return strings.Join(names, " ")
}

func (nb *Notebook) proxyNames() []string { return text.Each(nb.bench.Proxies(), (*proxy.Proxy).Name) }
func (nb *Notebook) memberNames() []string {
	return text.Each(nb.bench.Cluster.Members, func(m *etcd.Member) string { return m.Name })
}
func (nb *Notebook) gatewayNames() []string {
	return text.Each(nb.bench.Gateways(), (*gateway.Gateway).Name)
}
func (nb *Notebook) instanceNames() []string { return nb.instances }
func (nb *Notebook) clientNames() []string   { return nb.clients }
func (nb *Notebook) watcherNames() []string  { return slices.Sorted(maps.Keys(nb.watches)) }
func (nb *Notebook) scenarioNames() []string { return nb.opts.Scenarios }
func (nb *Notebook) fixNames() []string      { return text.Each(nb.opts.Fixes, Fix.name) }
func (nb *Notebook) topologyFixNames() []string {
	return text.Each(slices.DeleteFunc(slices.Clone(nb.opts.Fixes), func(f Fix) bool { return f.Operator }), Fix.name)
}

// kindOf is what a node is, "" for a name that the notebook does not know.
func (nb *Notebook) kindOf(name string) string {
	for kind, names := range map[string][]string{
		"gateway": nb.gatewayNames(), "instance": nb.instances, "client": nb.clients,
		"proxy": nb.proxyNames(), "member": nb.memberNames(),
	} {
		if slices.Contains(names, name) {
			return kind
		}
	}
	return ""
}
