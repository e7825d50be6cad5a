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

// attempts is how often a go-micro server tries to register before it waits for its next interval (server/grpc/grpc.go,
// regFunc).
const attempts = 3

// ofInstances is the client whose VIP instances use, where the plan says "vip".
const ofInstances = "g1"

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

// resolve is a gateway's read of one service, or of all.
func (m *Machine) resolve(_ context.Context, s plan.Step) (plan.Observation, error) {
	w, err := m.way(s.Client, s.Via)
	if err != nil || w.at == "" {
		return plan.Observation{Err: plan.ErrUnavailable}, err
	}
	id := s.Client + " " + w.at
	r := m.readers[id]
	if r == nil {
		if r, err = m.registry(s.Client, w); err != nil {
			return plan.Observation{}, err
		}
		m.readers[id] = r
	}
	return m.traced(r, w, func() error {
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
}

func (m *Machine) register(_ context.Context, s plan.Step) (obs plan.Observation, err error) {
	in, w, err := m.process(s.Target, s.Via)
	if err != nil || in == nil {
		return plan.Observation{Err: plan.ErrUnavailable}, err
	}
	for range attempts {
		again, err := m.traced(in.reg, w, func() error {
			return in.reg.Register(serviceOf(s.Target), micro.RegisterTTL(time.Hour))
		})
		obs.Err, obs.Answers = again.Err, append(obs.Answers, again.Answers...)
		if err != nil || obs.Err != plan.ErrUnavailable || w.proxy == nil || m.alone(w) || m.unlinked(w) {
			return obs, err
		}
	}
	return obs, nil
}

func (m *Machine) deregister(ctx context.Context, s plan.Step) (plan.Observation, error) {
	in, w, err := m.process(s.Target, s.Via)
	if err != nil || in == nil {
		return plan.Observation{Err: plan.ErrUnavailable}, errors.Join(err, m.crashes(ctx, s))
	}
	obs, err := m.traced(in.reg, w, func() error { return in.reg.Deregister(serviceOf(s.Target)) })
	return obs, errors.Join(err, m.crashes(ctx, s))
}

// restart is an instance that crashes, and it or another that registers.
func (m *Machine) restart(ctx context.Context, s plan.Step) (plan.Observation, error) {
	if err := m.crashes(ctx, s); err != nil {
		return plan.Observation{}, err
	}
	if s.Verb == plan.Replace {
		s.Target = s.Other
	}
	return m.register(ctx, s)
}

// crashes ends an instance's process without a word.
func (m *Machine) crashes(_ context.Context, s plan.Step) error {
	in := m.instances[s.Target]
	if in == nil {
		return nil
	}
	delete(m.instances, s.Target)
	return in.reg.Close()
}

// process is the instance's, begun if it does not run, asking there from now on; nil where no way leads there.
func (m *Machine) process(id, endpoint string) (*instance, way, error) {
	w, err := m.way(ofInstances, endpoint)
	if err != nil || w.at == "" {
		return nil, w, err
	}
	in := m.instances[id]
	switch {
	case in == nil:
		r, err := m.registry(id, w)
		if err != nil {
			return nil, w, err
		}
		in = &instance{r, w.at}
		m.instances[id] = in
	case in.at != w.at:
		addr, err := m.address("", w.at)
		if err != nil {
			return nil, w, err
		}
		in.reg.Client().SetEndpoints(addr)
		in.at = w.at
	}
	return in, w, nil
}

// registry is go-micro's, past the balancer at the proxy that it led to.
func (m *Machine) registry(client string, w way) (*registry.Registry, error) {
	addr, err := m.address(client, w.at)
	if err != nil {
		return nil, err
	}
	return registry.New(m.ctx, registry.Config{Client: client, Addresses: []string{addr},
		Mode: m.lab.cfg.Topology.Mode, History: m.history})
}

// traced has go-micro do something, and takes what it read from the proxy's records of that.
func (m *Machine) traced(r *registry.Registry, w way, do func() error) (obs plan.Observation, err error) {
	within := patience
	if w.proxy != nil && (m.alone(w) || m.unlinked(w)) {
		within = 20 * m.moment()
		defer m.gaveUp() // go-micro's client tries again and again; a cached answer comes at once
	}
	ctx, cancel := context.WithTimeout(m.ctx, within)
	defer cancel()
	for _, read := range r.Trace(ctx, func() { err = do() }) {
		if read.Event > 0 {
			obs.Answers = append(obs.Answers, m.recorded(m.history.Event(read.Event)))
		}
	}
	if err == nil {
		return obs, nil
	}
	failed, err := m.failed(err)
	obs.Err = failed.Err
	return obs, err
}

// recorded is a proxy's record of an answer, as far as that goes.
func (m *Machine) recorded(e history.Event) plan.Answer {
	r := e.Range
	a := plan.Answer{Via: e.Who, Keys: plan.BoundsText(r.Key, r.End), Shape: r.Shape, Source: r.Source,
		Revision: r.Revision - m.base, Count: r.Count}
	for i, key := range r.Keys {
		a.KVs = append(a.KVs, plan.KV{Key: key, Mod: r.Mods[i] - m.base})
	}
	return a
}
