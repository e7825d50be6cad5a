// Package scenarios is what goes wrong and what is said to cure it: scenarios and fixes as plain data, and the trial
// that puts one against the other.
package scenarios

import (
	"slices"

	"ghostroute/harness"
	"ghostroute/harness/gateway"
	"ghostroute/harness/history"
	"ghostroute/harness/text"
	"ghostroute/harness/verdict"
)

// Scenario is a change of the registry, usually with something going wrong around it.
type Scenario struct {
	Name  string // "deregister-elsewhere"
	Theme string // the file it stands in
	Title string
	Seen  string // where it was seen: the incident, an issue, a pull request, a line of etcd or go-micro
	Text  string // what happens, in a sentence or two

	Needs func(*harness.Topology) // what it needs of the topology; nil for nothing
	// before the change, when every gateway has seen truth: warms or clears caches; nil for nothing
	Prepare func(*Trial) error
	Act     func(*Trial) error // the change and its fault; returns when etcd has acknowledged the change
	After   func(*Trial) error // after a first look at what came of it: releases, heals; nil for nothing
	// how gateways read; nil is as go-micro's gateways do: by GetService, and a call of each instance they are told
	Ask Ask

	Unchanged  bool     // it changes no endpoint, but who may read
	Denied     []string // gateways whose user truth denies the service from the change on
	Registered []string // instances whose Register has returned nil by then

	// Proofs are what the history must show of the fault, on such a topology; nil is that nothing goes wrong but the
	// change.
	Proofs func(harness.Topology) []verdict.Proof
	Where  Where // what it needs to happen at

	Unheld bool // holding a watch's delivery is not its worst schedule: nothing is delivered, or too soon is worse

	Only gateway.Kind                // the one reading it makes sense for; "" is both
	NA   func(f Fix) (reason string) // why it makes no sense with a fix; nil and "" is that it does
}

// Where is what a scenario happens at: on a topology that has none, it is not itself.
type Where string

const (
	Anywhere Where = ""
	AtProxy  Where = "a proxy"               // a grpc-proxy or etcd's L4 gateway
	AtRPC    Where = "a proxy that has RPCs" // a grpc-proxy
)

// lacks says what the topology lacks for it, "" for nothing.
func (w Where) lacks(t harness.Topology) string {
	switch {
	case w != Anywhere && t.Direct:
		return "there is no proxy for it to happen at"
	case w == AtRPC && t.Variant.Relays:
		return "etcd's L4 gateway passes bytes on: it has no RPC to hold and no member to be cut off from"
	}
	return ""
}

// always are the same proofs whatever the topology.
func always(p ...verdict.Proof) func(harness.Topology) []verdict.Proof {
	return func(harness.Topology) []verdict.Proof { return p }
}

// StartedAfter is the scenario, with every gateway started anew once the change is acknowledged. What it was told by
// then is held where anything is: the watch of a gateway that ends first is told nothing, and so proves no hold.
func (s Scenario) StartedAfter() Scenario {
	act := s.Act
	s.Act = func(t *Trial) error {
		if err := act(t); err != nil {
			return err
		}
		t.met(t.held)
		for _, g := range t.Gateways() {
			if err := g.Restart(t.ctx); err != nil {
				return err
			}
		}
		return nil
	}
	return s
}

// Ask is how a gateway reads when it does not call GetService. It records the read as a Resolve of that gateway.
type Ask func(t *Trial, g *gateway.Gateway) history.Resolve

// All lists every scenario, theme by theme.
func All() []Scenario {
	return slices.Concat(leaving(), arriving(), races(), lost(), members(), proxies(), ranges(), clients(),
		identities())
}

// Names are the names of all scenarios.
func Names() []string { return text.Each(All(), Scenario.name) }

// Named finds a scenario. The error of one that is not there lists those that are.
func Named(name string) (Scenario, error) { return text.Find("scenario", name, All(), Scenario.name) }

func (s Scenario) name() string { return s.Name }

// oneProxy is the topology in which no other proxy can be to blame.
func oneProxy(t *harness.Topology) { t.Proxies, t.Weights = 1, nil }
