package model

import (
	"fmt"

	"ghostroute/harness/explore/plan"
)

// instance is the memory of one process's go-micro registry (registry/etcd/etcd.go).
type instance struct {
	lease      string
	registered bool // its hash is in e.register
}

// instances ask as the first client does where the plan says "vip": a plan need not say which.
const ofInstances = "g1"

func (m *Model) deregister(s plan.Step) result {
	delete(m.instances, s.Target)
	return m.write(plan.Step{Verb: plan.Delete, Client: ofInstances, Via: s.Via, Keys: s.Target})
}

func (m *Model) crash(s plan.Step) result {
	delete(m.instances, s.Target)
	return result{}
}

func (m *Model) restart(s plan.Step) result {
	m.crash(s)
	return m.register(s)
}

func (m *Model) replace(s plan.Step) result {
	m.crash(s)
	return m.register(plan.Step{Target: s.Other, Via: s.Via})
}

// resolve is a gateway's read of one service, or of all.
func (m *Model) resolve(s plan.Step) result {
	keys := "/*"
	if s.Verb != plan.List {
		keys = s.Keys + keys
	}
	return m.read(plan.Step{Verb: plan.Read, Client: s.Client, Via: s.Via, Keys: keys})
}

// register is what go-micro does to register an instance, or to register it again (registry/etcd/etcd.go,
// registerNode): with no lease in its memory it looks, serializably, whether it is there already; what is there and
// unchanged is not put again.
func (m *Model) register(s plan.Step) (all result) {
	in := m.instances[s.Target]
	if in == nil {
		in = &instance{}
		m.instances[s.Target] = in
	}
	ok := func(r result) bool {
		all.err, all.reads = r.err, append(all.reads, r.reads...)
		if r.revision != 0 {
			all.revision = r.revision
		}
		return r.err == ""
	}
	call := func(v plan.Verb, lease string) plan.Step {
		m.clock++
		return plan.Step{Verb: v, Client: ofInstances, Via: s.Via, Keys: s.Target, Lease: lease}
	}
	if in.lease == "" {
		if !ok(m.read(call(plan.Read, ""))) {
			return all
		}
		key, _, _ := plan.Bounds(s.Target)
		for _, x := range m.states[all.reads[0].state].kvs {
			if x.Key == key && x.lease != "" {
				in.lease, in.registered = x.lease, true
			}
		}
	}
	if in.lease != "" {
		alive := ok(m.lease(call(plan.Keepalive, in.lease)))
		if !alive && all.err != plan.ErrNoLease || alive && in.registered {
			return all
		}
		all.err = ""
	}
	m.granted++
	lease := fmt.Sprintf("of %s, %d", s.Target, m.granted)
	if ok(m.lease(call(plan.Grant, lease))) && ok(m.write(call(plan.Put, lease))) {
		in.lease, in.registered = lease, true
	}
	return all
}
