package scenarios

import (
	"ghostroute/harness"
	"ghostroute/harness/program"
	"ghostroute/harness/text"
)

// On is what trials run on: members and proxies that are processes of their own. The zero On is that both are embedded
// in this process.
type On struct {
	Etcd  program.Program // the members'
	Proxy program.Program // the proxies'
}

// Real says whether anything is a process of its own.
func (o On) Real() bool { return o != On{} }

// versions are the etcds in a word or two: "3.7.3, as processes", "3.7.3, proxies of 3.5.35, as processes".
func (o On) versions() string {
	v := o.Etcd.Name()
	if o.Proxy != o.Etcd {
		v += ", proxies of " + o.Proxy.Name()
	}
	return v + ", as processes"
}

// flags are those of the command line that mean it.
func (o On) flags() string {
	if !o.Real() {
		return ""
	}
	s := " --on real --etcd " + text.Quote(o.Etcd.Path)
	if o.Proxy != o.Etcd {
		s += " --proxy " + text.Quote(o.Proxy.Path)
	}
	return s
}

// topology is t on it.
func (o On) topology(t harness.Topology) harness.Topology {
	t.Etcd, t.Proxy = o.Etcd, o.Proxy
	return t
}

// lacks says why a topology cannot be had on it, "" where it can.
func (o On) lacks(t harness.Topology) string {
	if o.Proxy == (program.Program{}) || t.Direct {
		return ""
	}
	return t.Variant.Lacks(o.Proxy)
}
