package scenarios

import (
	"strings"

	"ghostroute/harness"
	"ghostroute/harness/balancer"
	"ghostroute/harness/program"
	"ghostroute/harness/text"
)

// On is what trials run on: members, proxies, a balancer and clients that are processes of their own. The zero On is
// that all are in this process.
type On struct {
	Etcd     program.Members  // the members'
	Proxy    program.Program  // the proxies'
	Balancer balancer.Program // HAProxy, or our own
	Client   program.Program  // instances' and gateways': today's, or the client of the incident
}

// Real says whether members and proxies are processes.
func (o On) Real() bool { return o.Etcd != program.Members{} }

// about is the etcd and what is not in this process: "3.7.3, as processes, behind HAProxy 2.6.12". The embedded etcd
// goes by its version.
func (o On) about(embedded string) string {
	s := embedded
	if o.Real() {
		s = o.versions()
	}
	if o.Balancer != (balancer.Program{}) {
		s += ", behind " + o.Balancer.String()
	}
	if o.Period() {
		s += "; clients are that of the incident, as processes"
	}
	return s
}

// versions are the etcds in a word or two: "3.7.3, as processes", "3.7.3, proxies of 3.5.35, as processes".
func (o On) versions() string {
	v := o.Etcd.Name()
	if program.Alike(o.Proxy) != o.Etcd {
		v += ", proxies of " + o.Proxy.Name()
	}
	return v + ", as processes"
}

// flags are those of the command line that mean it.
func (o On) flags() (s string) {
	if o.Real() {
		s = " --on real --etcd " + text.Quote(strings.Join(o.Etcd.Paths(), ","))
		if program.Alike(o.Proxy) != o.Etcd {
			s += " --proxy " + text.Quote(o.Proxy.Path)
		}
	}
	if o.Balancer != (balancer.Program{}) {
		s += " --balancer haproxy"
	}
	if o.Period() {
		s += " --client period"
	}
	return s
}

// topology is t on it.
func (o On) topology(t harness.Topology) harness.Topology {
	t.Etcd, t.Proxy, t.Balancer, t.Client = o.Etcd, o.Proxy, o.Balancer, o.Client
	return t
}

// Period says whether clients are that of the incident.
func (o On) Period() bool { return o.Client != program.Program{} }

// lacks says why a topology cannot be had on it, "" where it can.
func (o On) lacks(t harness.Topology) string {
	switch {
	case o.Period() && t.Auth:
		return "the client of the incident is no user of its own"
	case o.Period() && t.Library != "":
		return "it is a cure of today's client, and this is the one of the incident"
	}
	if o.Proxy == (program.Program{}) || t.Direct {
		return ""
	}
	return t.Variant.Lacks(o.Proxy)
}
