package lab

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"ghostroute/harness/explore/plan"
	"ghostroute/harness/history"
	"ghostroute/harness/link"
)

// fault takes the steps that make something go wrong or right again.
func (m *Machine) fault(s plan.Step) error {
	ctx, cancel := context.WithTimeout(m.ctx, patience)
	defer cancel()
	if err := m.quiet(ctx); err != nil {
		return err
	}
	switch s.Verb {
	case plan.Cut, plan.Mend, plan.Delay:
		if s.Target[0] == 'm' && s.Verb != plan.Delay {
			return m.isolate(ctx, s.Target, s.Verb == plan.Cut)
		}
		return m.link(ctx, s)
	case plan.Lead:
		m.lead = s.Target
		return m.cluster.MoveLeader(ctx, m.cluster.Member(s.Target))
	case plan.Narrow:
		return m.pin(ctx, s.Target, s.Other)
	case plan.Reboot:
		if s.Target[0] == 'p' {
			return m.rebootProxy(ctx, s.Target)
		}
		return m.rebootMember(ctx, s.Target)
	}
	return fmt.Errorf("this machine cannot %s", s.Verb)
}

// isolate cuts a member off from its peers, or mends it. Who leads is the plan's business: a member that leads by chance hands over
// first, one that was given the lead is cut off with it and the others elect.
func (m *Machine) isolate(ctx context.Context, member string, cut bool) error {
	x := m.cluster.Member(member)
	if !cut {
		if !m.cut[member] {
			return nil
		}
		delete(m.cut, member)
		delete(m.behind, member)
		if err := x.Mend(); err != nil {
			return err
		}
		_, err := m.cluster.Leader(ctx)
		return err
	}
	if m.cut[member] {
		return nil
	}
	lead, err := m.cluster.Leader(ctx)
	if err != nil {
		return err
	}
	if lead == x && m.lead != member {
		for _, other := range m.cluster.Members {
			if other != x && !m.cut[other.Name] {
				if err := m.cluster.MoveLeader(ctx, other); err != nil {
					return err
				}
				break
			}
		}
	}
	if m.lead == member {
		m.lead = ""
	}
	m.cut[member] = true
	m.behind[member] = map[string]string{}
	for who, token := range m.tokens {
		m.behind[member][who] = token
	}
	if err := x.Cut(); err != nil {
		return err
	}
	_, err = m.cluster.Leader(ctx)
	return err
}

// link cuts, mends or delays a link: a proxy's to a member, a client's to its VIP, or with a member's name those of all proxies to it.
func (m *Machine) link(ctx context.Context, s plan.Step) error {
	var links []*link.Link
	from, to, _ := strings.Cut(s.Target, "-")
	asked := "" // the proxy that asks over the link now
	switch {
	case s.Target[0] == 'm':
		for _, p := range m.proxies {
			links = append(links, p.Link(s.Target))
		}
	case from[0] == 'g':
		if m.lb == nil {
			break
		}
		v, err := m.lb.VIP(from)
		if err != nil {
			return err
		}
		links = append(links, v.Link)
	case number(from) < len(m.proxies):
		links = append(links, m.proxies[number(from)].Link(to))
		if m.asks[number(from)] == to {
			asked = from
		}
	}
	delay := 0
	if s.Verb == plan.Delay {
		delay, _ = strconv.Atoi(s.Other) // the plan's grammar lets nothing else through
	}
	m.delay = max(m.delay, time.Duration(delay)*time.Millisecond)
	for _, l := range links {
		if l == nil {
			continue // nobody asks that way in this plan
		}
		switch s.Verb {
		case plan.Cut:
			if err := l.Cut(); err != nil {
				return err
			}
		case plan.Mend:
			l.Mend()
		default:
			l.SetDelay(time.Duration(delay) * time.Millisecond)
		}
	}
	op := history.Fire
	if s.Verb == plan.Mend {
		op = history.End
	}
	m.history.Add(history.Event{Who: "bench", Fault: &history.Fault{Kind: history.Cut, Op: op, Target: s.Target}})
	was := m.cut[s.Target]
	switch s.Verb {
	case plan.Cut:
		m.cut[s.Target] = true
		if asked != "" {
			return m.proxies[number(asked)].Reach(ctx, false)
		}
		if to == plan.VIP && m.lb != nil {
			m.hangUp(from, to)
			return m.parted(from)
		}
	case plan.Mend:
		delete(m.cut, s.Target)
		if asked != "" && was {
			return m.proxies[number(asked)].Reach(ctx, true)
		}
	}
	return nil
}

// pin has a proxy ask one member from now on.
func (m *Machine) pin(ctx context.Context, target, member string) error {
	if number(target) >= len(m.proxies) || m.asks[number(target)] == member || m.lab.cfg.Topology.Variant.Relays {
		return nil // the L4 gateway cannot be told whom to ask
	}
	p := m.proxies[number(target)]
	if err := p.Narrow(member); err != nil {
		return err
	}
	m.asks[number(target)] = member
	if m.unlinked(target) {
		return p.Reach(ctx, false)
	}
	return errors.Join(m.linked(ctx, target, member), p.Reach(ctx, true))
}

// linked waits until a proxy has a connection to a member.
func (m *Machine) linked(ctx context.Context, p, member string) error {
	l := m.proxies[number(p)].Link(member)
	for len(l.Conns()) == 0 {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s never connected to %s: %w", p, member, context.Cause(ctx))
		case <-time.After(100 * time.Microsecond): // nobody announces it
		}
	}
	return nil
}

// rebootProxy stops a proxy and starts it. What it holds is lost, its cache is gone, its clients dial again.
func (m *Machine) rebootProxy(ctx context.Context, target string) error {
	if number(target) >= len(m.proxies) {
		return nil
	}
	for id, h := range m.held {
		if h.proxy == target {
			delete(m.held, id)
			h.gate.Lose()
			<-h.done
			h.cancel()
		}
	}
	var placed []string
	if m.lb != nil {
		for who, at := range m.lb.Pinned() {
			if at[len(at)-1] == target {
				placed = append(placed, who)
			}
		}
	}
	m.hangUp("", target)
	for _, who := range placed {
		m.hangUp(who, plan.VIP)
		if err := m.parted(who); err != nil {
			return err
		}
	}
	p := m.proxies[number(target)]
	if err := p.Restart(ctx); err != nil {
		return err
	}
	if m.unlinked(target) {
		return p.Reach(ctx, false)
	}
	return p.Reach(ctx, true)
}

// rebootMember stops a member and starts it with its data. Whoever asked it dials again.
func (m *Machine) rebootMember(ctx context.Context, target string) error {
	x := m.cluster.Member(target)
	if x == nil {
		return nil
	}
	m.hangUp("", target)
	if err := x.Stop(ctx); err != nil {
		return err
	}
	if m.lead == target {
		m.lead = ""
	}
	if err := x.Restart(ctx); err != nil {
		return err
	}
	if _, err := m.cluster.Leader(ctx); err != nil {
		return err
	}
	for user := range m.tokens { // tokens are kept in memory, and this member has lost what it had
		if err := m.fetchToken(ctx, user); err != nil {
			return err
		}
	}
	for i, p := range m.proxies {
		if at := name('p', i); m.asks[i] == target && !m.unlinked(at) {
			if err := p.Reach(ctx, true); err != nil {
				return err
			}
		}
	}
	return nil
}
