package stage

import (
	"context"
	"fmt"
	"slices"
	"time"

	"ghostroute/harness/etcd"
	"ghostroute/harness/history"
	"ghostroute/harness/link"
	"ghostroute/harness/proxy"
	"ghostroute/harness/text"
	"ghostroute/harness/wait"
)

// Links are a node's ways: a proxy's to the members, or to those named; a client's to the balancer, or to the members
// where there is none. A member's ways are the proxies' to it.
func (s *Stage) Links(node string, to ...string) ([]*link.Link, error) {
	if p, err := s.proxy(node); err == nil {
		var links []*link.Link
		for _, m := range s.Cluster.Members {
			if l := p.Link(m.Name); l != nil && (len(to) == 0 || slices.Contains(to, m.Name)) {
				links = append(links, l)
			}
		}
		if len(links) < len(to) {
			return nil, fmt.Errorf("%s has no way to one of %v", node, to)
		}
		return links, nil
	}
	if s.Cluster.Member(node) != nil {
		var links []*link.Link
		for _, p := range s.proxies {
			if l := p.Link(node); l != nil {
				links = append(links, l)
			}
		}
		return links, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if v := s.vips[node]; v != nil {
		return []*link.Link{v.Link}, nil
	}
	if links := s.direct[node]; links != nil {
		return links, nil
	}
	return nil, fmt.Errorf("%s has no way to anything: it never connected", node)
}

// Cut cuts ways, their live connections too: those that Links gives. A member is cut off from its peers, see CutOff.
func (s *Stage) Cut(ctx context.Context, node string, to ...string) error {
	return s.act(node, to, history.Cut, "", (*link.Link).Cut)
}

// Blackhole has ways swallow whatever is sent over them, in both directions: nothing is refused and nothing reset.
func (s *Stage) Blackhole(ctx context.Context, node string, to ...string) error {
	return s.act(node, to, history.Blackhole, "", func(l *link.Link) error { l.Blackhole(link.Both); return nil })
}

// Delay has each chunk arrive so much later, in both directions. 0 ends it.
func (s *Stage) Delay(ctx context.Context, by time.Duration, node string, to ...string) error {
	if by == 0 {
		return s.Mend(ctx, node, to...)
	}
	return s.act(node, to, history.Delay, by.String(), func(l *link.Link) error { l.SetDelay(by); return nil })
}

func (s *Stage) act(node string, to []string, kind history.FaultKind, detail string, do func(*link.Link) error) error {
	links, err := s.Links(node, to...)
	if err != nil {
		return err
	}
	return s.Inflict(func() error {
		for _, l := range links {
			was := l.Stats()
			if err := do(l); err != nil {
				return err
			}
			s.mu.Lock()
			s.before[l.Name()] = was
			s.mu.Unlock()
			s.fault(history.Fault{Kind: kind, Op: history.Fire, Target: l.Name(), Met: s.met(l, kind), Detail: detail})
		}
		return nil
	})
}

// met is what a link's fault has met since it was inflicted.
func (s *Stage) met(l *link.Link, kind history.FaultKind) int64 {
	s.mu.Lock()
	was := s.before[l.Name()]
	s.mu.Unlock()
	now := l.Stats()
	switch kind {
	case history.Cut:
		return int64(now.Reset - was.Reset + now.Refused - was.Refused)
	case history.Blackhole:
		return now.Swallowed - was.Swallowed
	}
	return 0
}

// Mend ends Cut, Blackhole and Delay.
func (s *Stage) Mend(ctx context.Context, node string, to ...string) error {
	links, err := s.Links(node, to...)
	if err != nil {
		return err
	}
	for _, l := range links {
		var ended []history.Fault
		for _, kind := range broken(l) {
			ended = append(ended, history.Fault{Kind: kind, Op: history.End, Target: l.Name(), Met: s.met(l, kind)})
		}
		l.Mend()
		for _, f := range ended {
			s.fault(f)
		}
	}
	return nil
}

// broken are the faults that a link has.
func broken(l *link.Link) (kinds []history.FaultKind) {
	cut, hole, delay := l.Broken()
	if cut {
		kinds = append(kinds, history.Cut)
	}
	if hole {
		kinds = append(kinds, history.Blackhole)
	}
	if delay > 0 {
		kinds = append(kinds, history.Delay)
	}
	return kinds
}

// hasWay says whether a proxy has an unbroken link to a member.
func (s *Stage) hasWay(p *proxy.Proxy) bool {
	return slices.ContainsFunc(s.Cluster.Members, func(m *etcd.Member) bool {
		l := p.Link(m.Name)
		return l != nil && m.Running() && !m.IsCut() && len(broken(l)) == 0
	})
}

// CutOff cuts a member off from its peers. If it leads it hands over first: which member leads is chance, and what is
// told of the others must not depend on it.
func (s *Stage) CutOff(ctx context.Context, name string) error {
	m, err := s.member(name)
	if err != nil {
		return err
	}
	lead, err := s.Cluster.Leader(ctx)
	if err != nil {
		return err
	}
	if lead == m {
		other := s.other(m)
		if other == nil {
			return fmt.Errorf("%s cannot be cut off: no other member is connected", name)
		}
		if err := s.Cluster.MoveLeader(ctx, other); err != nil {
			return err
		}
	}
	if err := s.Cluster.WaitCaughtUp(ctx); err != nil {
		return err
	}
	return s.Inflict(m.Cut)
}

// Rejoin ends CutOff, and waits until the member has caught up.
func (s *Stage) Rejoin(ctx context.Context, name string) error {
	m, err := s.member(name)
	if err != nil {
		return err
	}
	if m.IsCut() {
		if err := m.Mend(); err != nil {
			return err
		}
	}
	return s.Cluster.WaitCaughtUp(ctx)
}

// Kill ends a member as a crash does.
func (s *Stage) Kill(name string) error {
	m, err := s.member(name)
	if err != nil {
		return err
	}
	return s.Inflict(m.Kill)
}

// RestartMember starts a member that was stopped or killed, with its data.
func (s *Stage) RestartMember(ctx context.Context, name string) error {
	m, err := s.member(name)
	if err != nil || m.Running() {
		return err
	}
	return m.Restart(ctx)
}

// MoveLeader has another member lead.
func (s *Stage) MoveLeader(ctx context.Context, to string) error {
	m, err := s.member(to)
	if err != nil {
		return err
	}
	return s.Inflict(func() error { return s.Cluster.MoveLeader(ctx, m) })
}

// Hold sets a gate at a proxy. On an inert stage it is nil, which holds nothing.
func (s *Stage) Hold(name string, h proxy.Hold) *proxy.Gate {
	var g *proxy.Gate
	_ = s.Inflict(func() error { g = s.Proxy(name).Hold(h); return nil })
	return g
}

// Follower is a member that does not lead.
func (s *Stage) Follower(ctx context.Context) (*etcd.Member, error) {
	lead, err := s.Cluster.Leader(ctx)
	if err != nil {
		return nil, err
	}
	if m := s.other(lead); m != nil {
		return m, nil
	}
	return nil, fmt.Errorf("%s has no follower", lead.Name)
}

// other is a member other than m that runs and is not cut off, nil where there is none.
func (s *Stage) other(m *etcd.Member) *etcd.Member {
	for _, o := range s.Cluster.Members {
		if o != m && o.Running() && !o.IsCut() {
			return o
		}
	}
	return nil
}

// Narrow has a proxy ask these members only, none for all it was given. It does nothing at a proxy that chooses by
// itself, as etcd's L4 gateway. It returns once a request would go to one of them.
func (s *Stage) Narrow(ctx context.Context, name string, members ...string) error {
	p, err := s.proxy(name)
	if err != nil || p.Variant().Relays {
		return err
	}
	if err := p.Narrow(members...); err != nil {
		return err
	}
	s.fault(history.Fault{Kind: history.Narrow, Op: history.Fire, Target: name, Detail: text.And(members)})
	return s.asks(ctx, p, members)
}

// asks waits until a proxy's connection is to one of these members, unless no new one can come about: a black hole
// swallows what it is made of.
func (s *Stage) asks(ctx context.Context, p *proxy.Proxy, members []string) error {
	reachable := func(l *link.Link) bool {
		if l == nil {
			return false
		}
		cut, hole, _ := l.Broken()
		return !cut && !hole
	}
	if !slices.ContainsFunc(members, func(m string) bool { return reachable(p.Link(m)) }) {
		return nil
	}
	err := wait.Until(ctx, fmt.Sprintf("%s is connected to none of %v", p.Name(), members), func() bool {
		return slices.ContainsFunc(members, func(m string) bool { return len(p.Link(m).Conns()) > 0 })
	})
	if err != nil {
		return err
	}
	return p.Reach(ctx, true)
}

// RestartProxy stops a proxy if it runs and starts it again: its cache is gone, and so is every connection. It returns
// when the proxy has a member again, unless every way to one is cut.
func (s *Stage) RestartProxy(ctx context.Context, name string) error {
	p, err := s.proxy(name)
	if err != nil {
		return err
	}
	if err := s.Inflict(func() error { return p.Restart(ctx) }); err != nil {
		return err
	}
	return s.Reached(ctx, name)
}

// Reached waits until a proxy has a member, or if every way to one is cut until it has noticed that it has none.
func (s *Stage) Reached(ctx context.Context, name string) error {
	p, err := s.proxy(name)
	if err != nil {
		return err
	}
	links, err := s.Links(name)
	if err != nil {
		return err
	}
	open := slices.ContainsFunc(links, func(l *link.Link) bool { return len(broken(l)) == 0 })
	return p.Reach(ctx, open)
}
