package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	micro "github.com/micro/go-micro/v2/registry"

	"ghostroute/harness/explore/plan"
	"ghostroute/harness/history"
	"ghostroute/harness/keys"
	"ghostroute/harness/registry"
)

// instance is one process with go-micro's registry in it, which remembers its lease and what it registered.
type instance struct {
	reg *registry.Registry
	at  string // the proxy that it asks
}

// attempts is how often a go-micro server tries to register before it waits for its next interval (server/grpc/grpc.go, regFunc).
const attempts = 3

// serviceOf is what an instance, "s1/a", registers.
func serviceOf(in string) *micro.Service {
	service, id, _ := strings.Cut(in, "/")
	return &micro.Service{Name: service, Version: "v1", Nodes: []*micro.Node{{Id: id, Address: "127.0.0.1:1"}}}
}

// value is what a put writes: the number of the step, but go-micro's text where the key is an instance's.
func value(key string, step int) string {
	rest, ok := strings.CutPrefix(key, keys.Registry)
	if !ok || !strings.Contains(rest, "/") {
		return fmt.Sprint(step)
	}
	b, err := json.Marshal(serviceOf(rest))
	if err != nil {
		panic(err) // strings only
	}
	return string(b)
}

// micro takes the steps that go-micro's registry takes. Where the plan says "vip" it goes to the proxy that the balancer led g1 to,
// or the client who asks.
func (m *Machine) micro(s plan.Step) (plan.Observation, error) {
	none := plan.Observation{}
	if s.Verb == plan.Crash {
		return none, m.crash(s.Target)
	}
	client := s.Client
	if client == "" {
		client = "g1"
	}
	via := m.enters(s.Via)
	if via == plan.VIP {
		at, err := m.place(client)
		if err != nil {
			return none, err
		}
		if via = at; at == "" || m.cut[client+"-vip"] {
			if s.Verb != plan.Resolve && s.Verb != plan.List && s.Verb != plan.Call && s.Verb != plan.Register {
				err = m.crash(s.Target)
			}
			return plan.Observation{Err: plan.ErrUnavailable}, err
		}
	}
	addr, err := m.address(client, via)
	if err != nil {
		return none, err
	}
	switch s.Verb {
	case plan.Resolve, plan.Call, plan.List:
		r, err := m.reader(client, via, addr)
		if err != nil {
			return none, err
		}
		return m.watched(r, via, func() error {
			if s.Verb == plan.List {
				_, err := r.ListServices()
				return err
			}
			_, err := r.GetService(s.Keys)
			if errors.Is(err, micro.ErrNotFound) {
				return nil
			}
			return err
		})
	case plan.Deregister:
		in, err := m.process(s.Target, via, addr)
		if err != nil {
			return none, err
		}
		obs, err := m.watched(in.reg, via, func() error { return in.reg.Deregister(serviceOf(s.Target)) })
		return obs, errors.Join(err, m.crash(s.Target))
	case plan.Restart, plan.Replace:
		if err := m.crash(s.Target); err != nil {
			return none, err
		}
		if s.Verb == plan.Replace {
			s.Target = s.Other
		}
	}
	in, err := m.process(s.Target, via, addr)
	if err != nil {
		return none, err
	}
	var obs plan.Observation
	for range attempts {
		again, err := m.watched(in.reg, via, func() error { return in.reg.Register(serviceOf(s.Target), micro.RegisterTTL(time.Hour)) })
		obs.Err, obs.Answers = again.Err, append(obs.Answers, again.Answers...)
		if err != nil || obs.Err != plan.ErrUnavailable || via[0] == 'm' || m.cut[m.asks[number(via)]] || m.unlinked(via) {
			return obs, err
		}
	}
	return obs, nil
}

// crash ends an instance's process without a word.
func (m *Machine) crash(id string) error {
	in := m.instances[id]
	if in == nil {
		return nil
	}
	delete(m.instances, id)
	return in.reg.Close()
}

// process is the instance's, begun if it does not run, asking there from now on.
func (m *Machine) process(id, at, addr string) (*instance, error) {
	if in := m.instances[id]; in != nil {
		if in.at != at {
			in.reg.Client().SetEndpoints(addr)
			in.at = at
		}
		return in, nil
	}
	r, err := registry.New(m.ctx, registry.Config{Client: id, Addresses: []string{addr}, Mode: m.lab.cfg.Topology.Mode, History: m.history})
	if err != nil {
		return nil, err
	}
	in := &instance{reg: r, at: at}
	m.instances[id] = in
	return in, nil
}

// reader is a gateway's registry, one for each proxy that it asks.
func (m *Machine) reader(who, at, addr string) (*registry.Registry, error) {
	id := who + " " + at
	if r := m.readers[id]; r != nil {
		return r, nil
	}
	r, err := registry.New(m.ctx, registry.Config{Client: who, Addresses: []string{addr}, Mode: m.lab.cfg.Topology.Mode, History: m.history})
	if err == nil {
		m.readers[id] = r
	}
	return r, err
}

// watched has go-micro do something, and takes what it read from the proxy's records of that.
func (m *Machine) watched(r *registry.Registry, at string, do func() error) (plan.Observation, error) {
	within := patience
	if at[0] == 'p' && (m.cut[m.asks[number(at)]] || m.unlinked(at)) {
		within = 20 * m.moment()
		defer m.gaveUp() // go-micro's client tries again and again; a cached answer comes at once
	}
	ctx, cancel := context.WithTimeout(m.ctx, within)
	defer cancel()
	var err error
	obs := plan.Observation{}
	for _, read := range r.Trace(ctx, func() { err = do() }) {
		if read.Event > 0 {
			obs.Answers = append(obs.Answers, m.answerOf(m.history.Event(read.Event)))
		}
	}
	if err == nil {
		return obs, nil
	}
	failed, err := m.failed(err)
	obs.Err = failed.Err
	return obs, err
}

// answerOf is what a proxy noted of an answer, as far as that goes.
func (m *Machine) answerOf(e history.Event) plan.Answer {
	r := e.Range
	a := plan.Answer{Via: e.Who, Keys: plan.BoundsText(r.Key, r.End), Shape: r.Shape, Source: r.Source, Revision: r.Revision - m.base, Count: r.Count}
	for i, key := range r.Keys {
		a.KVs = append(a.KVs, plan.KV{Key: key, Mod: r.Mods[i] - m.base})
	}
	return a
}
