package model

import (
	"fmt"
	"slices"
	"strings"

	"ghostroute/harness/explore/plan"
	"ghostroute/harness/history"
	"ghostroute/harness/keys"
)

const namedLeases = 31 // l1 to l31; the leases that instances take are numbered on from there

// Model steps plans in memory. It is not safe for use by more than one goroutine.
type Model struct {
	// Door says which proxy a client's VIP leads to now, "" for none. A bench that runs the same plan knows; without one, client
	// number i is led to proxy number i, counted round.
	Door func(client string) string

	u         universe
	s         state
	plan      plan.Plan
	steps     int
	seen      uint8 // the newest state whose puts are in versions
	versions  map[put]version
	instances map[string]*instance
	lastLease uint8
	leaked    bool // a cached answer went to a client that may not read it
}

// put names one put for ever.
type put struct {
	key, revision uint8
}

type version struct {
	create, version int64
	value           string
	lease           uint8
}

// instance is the memory of one process's go-micro registry (registry/etcd/etcd.go).
type instance struct {
	lease      uint8
	registered bool // its hash is in e.register
}

// New is a model of p's topology before its first step.
func New(p plan.Plan) *Model { return NewSized(p, fullCache) }

// NewSized is New with caches that hold that many answers, from 1; etcd's hold 2048.
func NewSized(p plan.Plan, answers int) *Model {
	m := &Model{plan: p, versions: map[put]version{}, instances: map[string]*instance{}, lastLease: namedLeases}
	m.Door = func(client string) string { return fmt.Sprintf("p%d", (number(client)-1)%max(p.Proxies, 1)+1) }
	m.s.init(p, answers)
	return m
}

// Apply takes the plan's next step and says what it gives. An error means that the model cannot follow the step, not that
// etcd refuses it; the step is then not taken.
func (m *Model) Apply(s plan.Step) (plan.Observation, error) {
	m.steps++
	switch s.Verb {
	case plan.Register:
		return m.register(s.Target, s.Via)
	case plan.Deregister:
		delete(m.instances, s.Target)
		return m.call(plan.Step{Verb: plan.Delete, Who: m.client(s.Target), Via: s.Via, Keys: s.Target})
	case plan.Crash:
		delete(m.instances, s.Target)
		return plan.Observation{}, nil
	case plan.Restart:
		delete(m.instances, s.Target)
		return m.register(s.Target, s.Via)
	case plan.Replace:
		delete(m.instances, s.Target)
		return m.register(s.Other, s.Via)
	case plan.Resolve, plan.Call:
		return m.call(plan.Step{Verb: plan.Read, Who: s.Who, Via: s.Via, Keys: s.Keys + "/*"})
	case plan.List:
		return m.call(plan.Step{Verb: plan.Read, Who: s.Who, Via: s.Via, Keys: "/*"})
	case plan.Expire:
		if strings.Contains(s.Lease, "/") {
			return m.expireInstance(s.Lease)
		}
	}
	return m.call(s)
}

// client is the client whose VIP an instance uses: the first, so that a plan need not say.
func (m *Model) client(string) string { return "g1" }

// call takes one step that is one call.
func (m *Model) call(s plan.Step) (plan.Observation, error) {
	o, err := m.u.compile(&s, m.Door, m.steps)
	if err != nil {
		return plan.Observation{}, err
	}
	return m.do(&o)
}

func (m *Model) do(o *op) (plan.Observation, error) {
	if o.hold != plan.NotHeld && m.s.held[o.slot].open {
		return plan.Observation{Err: string(senseless)}, nil
	}
	r := m.s.do(&m.u, o)
	if r.err == tooLong {
		return plan.Observation{}, fmt.Errorf("%s", tooLong)
	}
	m.remember()
	if o.kind == opRead && m.s.nReads == 1 && m.s.reads[0].hit && m.s.auth && m.s.forbidden&(1<<o.who) != 0 {
		m.leaked = true
	}
	obs := plan.Observation{Err: string(r.err), Revision: int64(r.revision)}
	for _, x := range m.s.reads[:m.s.nReads] {
		if r.err == ok {
			obs.Answers = append(obs.Answers, m.answer(x, o))
		}
	}
	return obs, nil
}

// remember notes what the new states' puts wrote.
func (m *Model) remember() {
	for ; m.seen < m.s.last; m.seen++ {
		before, after := &m.s.at[m.seen], &m.s.at[m.seen+1]
		rev := m.s.why[m.seen+1].revision
		for k := range m.u.keys {
			k := uint8(k)
			if after.get(k) != rev || before.get(k) == rev {
				continue
			}
			v := version{create: int64(rev), version: 1, value: fmt.Sprint(m.s.why[m.seen+1].value), lease: m.s.why[m.seen+1].lease}
			if was := before.get(k); was != 0 {
				old := m.versions[put{k, was}]
				v.create, v.version = old.create, old.version+1
			}
			m.versions[put{k, rev}] = v
		}
	}
}

// answer is the response to a request read from a state (etcdserver/txn/range.go).
func (m *Model) answer(x read, o *op) plan.Answer {
	r := &m.u.requests[x.req]
	a := plan.Answer{
		Via: fmt.Sprintf("m%d", o.member+1), Source: history.Member, Shape: shapeText(r), Keys: m.u.rangeText(r.rng),
		Revision: int64(m.s.why[x.state].revision),
	}
	if x.proxy >= 0 {
		a.Via, a.Source = fmt.Sprintf("p%d", x.proxy+1), history.Miss
		if x.hit {
			a.Source = history.Hit
		}
	}
	at := x.state
	if r.revision != 0 {
		at = m.s.atRevision(r.revision)
	}
	a.KVs, a.Count, a.More = m.contents(r, at)
	return a
}

func (m *Model) contents(r *request, at uint8) (kvs []plan.KV, n int64, more bool) {
	found := m.s.at[at].masked(m.u.ranges[r.rng].mask)
	for _, k := range m.u.order {
		mod := found.get(k)
		if mod == 0 {
			continue
		}
		n++
		v := m.versions[put{k, mod}]
		kv := plan.KV{Key: m.u.keys[k], Mod: int64(mod), Create: v.create, Version: v.version, Value: v.value, HasLease: v.lease != 0}
		if strings.HasPrefix(kv.Key, keys.Registry) {
			kv.Value = "{" + kv.Key // go-micro's, not the plan's: it begins like that, and is in the order of the keys
		}
		kvs = append(kvs, kv)
	}
	if r.shape.Count {
		return nil, n, false
	}
	if r.shape.Sort != "" {
		sortKVs(kvs, r.shape.Sort)
	}
	for i := range kvs {
		if strings.HasPrefix(kvs[i].Key, keys.Registry) {
			kvs[i].Value = ""
		}
	}
	if l := r.shape.Limit; l > 0 && len(kvs) > l {
		kvs, more = kvs[:l], true
	}
	if r.shape.KeysOnly {
		for i := range kvs {
			kvs[i].Value = ""
		}
	}
	return kvs, n, more
}

func sortKVs(kvs []plan.KV, by string) {
	target, order, _ := strings.Cut(by, ":")
	compare := func(a, b plan.KV) int {
		switch target {
		case "mod":
			return int(a.Mod - b.Mod)
		case "create":
			return int(a.Create - b.Create)
		case "version":
			return int(a.Version - b.Version)
		case "value":
			return strings.Compare(a.Value, b.Value)
		}
		return strings.Compare(a.Key, b.Key)
	}
	slices.SortStableFunc(kvs, func(a, b plan.KV) int {
		if order == "down" {
			return compare(b, a)
		}
		return compare(a, b)
	})
}

// shapeText is the shape's words; a revision is the one that was asked for, not how a plan counts back to it.
func shapeText(r *request) string {
	text := r.shape.String()
	if r.revision != 0 {
		if text != "" {
			text += " "
		}
		text += fmt.Sprintf("@%d", r.revision)
	}
	return text
}

// rangeText is a range as etcd's API has it.
func (u *universe) rangeText(rng uint8) string {
	return plan.BoundsText(u.ranges[rng].key, u.ranges[rng].end)
}

// register is what go-micro does to register an instance, or to register it again (registry/etcd/etcd.go, registerNode): with
// no lease in its memory it looks, serializably, whether it is there already; what is there and unchanged is not put again.
func (m *Model) register(name, door string) (plan.Observation, error) {
	in := m.instances[name]
	if in == nil {
		in = &instance{}
		m.instances[name] = in
	}
	var all plan.Observation
	step := func(o op, err error) (bool, error) {
		if err != nil {
			return false, err
		}
		obs, err := m.do(&o)
		all.Err, all.Answers = obs.Err, append(all.Answers, obs.Answers...)
		if obs.Revision != 0 {
			all.Revision = obs.Revision
		}
		return err == nil && obs.Err == "", err
	}
	compile := func(s plan.Step) (op, error) {
		s.Who, s.Via = m.client(name), door
		return m.u.compile(&s, m.Door, m.steps)
	}
	if in.lease == 0 {
		o, err := compile(plan.Step{Verb: plan.Read, Keys: name})
		if done, err := step(o, err); !done {
			return all, err
		}
		if v := m.versions[m.putIn(m.s.reads[0], o.rng)]; v.lease != 0 {
			in.lease, in.registered = v.lease, true
		}
	}
	alive := true
	if in.lease != 0 {
		o, err := compile(plan.Step{Verb: plan.Keepalive})
		o.lease = in.lease
		if done, err := step(o, err); !done {
			if err != nil || all.Err != plan.ErrNoLease {
				return all, err
			}
			all.Err, alive = "", false
		}
	}
	if in.registered && alive {
		return all, nil
	}
	if m.lastLease == maxLeases {
		return all, fmt.Errorf("the model has room for %d leases", maxLeases)
	}
	m.lastLease++
	for _, s := range []plan.Step{{Verb: plan.Grant}, {Verb: plan.Put, Keys: name}} {
		o, err := compile(s)
		o.lease = m.lastLease
		if done, err := step(o, err); !done {
			return all, err
		}
	}
	in.lease, in.registered = m.lastLease, true
	return all, nil
}

// putIn is the put of a one-key range that a read found.
func (m *Model) putIn(r read, rng uint8) put {
	k := m.u.ranges[rng].first
	return put{k, m.s.at[r.state].get(k)}
}

// expireInstance ends the lease that an instance's key has now.
func (m *Model) expireInstance(name string) (plan.Observation, error) {
	o, err := m.u.compile(&plan.Step{Verb: plan.Read, Keys: name}, m.Door, m.steps)
	if err != nil {
		return plan.Observation{}, err
	}
	lease := m.s.leaseOf[m.u.ranges[o.rng].first]
	if lease == 0 {
		return plan.Observation{Err: plan.ErrNoLease}, nil
	}
	return m.do(&op{kind: opExpire, proxy: -1, lease: lease})
}

// Close ends the model; it holds nothing that must be ended.
func (m *Model) Close() error { return nil }
