package model

import (
	"maps"

	"ghostroute/harness/explore/plan"
)

// rules are how each verb is taken. The test holds them to the plan's table of verbs.
var rules = map[plan.Verb]func(*Model, plan.Step) result{
	plan.Read: (*Model).read, plan.Put: (*Model).write, plan.Delete: (*Model).write, plan.Txn: (*Model).txn,
	plan.Grant: (*Model).lease, plan.Revoke: (*Model).lease, plan.Keepalive: (*Model).lease, plan.Expire: (*Model).expire,
	plan.Compact: (*Model).compact, plan.Flood: (*Model).flood,

	plan.Register: (*Model).register, plan.Deregister: (*Model).deregister, plan.Crash: (*Model).crash,
	plan.Restart: (*Model).restart, plan.Replace: (*Model).replace,
	plan.Resolve: (*Model).resolve, plan.List: (*Model).resolve, plan.Call: (*Model).resolve,

	plan.Release: (*Model).release, plan.Fail: (*Model).fail,
	plan.Cut: (*Model).link, plan.Blackhole: (*Model).link, plan.Mend: (*Model).link,
	plan.Narrow: (*Model).narrow, plan.Reboot: (*Model).reboot,
	plan.Permit: (*Model).permit, plan.Forbid: (*Model).permit,

	// What has no bearing on a cache. Where the balancer leads a client, Backend says.
	plan.Delay: nothing, plan.Lead: nothing, plan.ExpireToken: nothing,
	plan.Weights: nothing, plan.Drain: nothing, plan.Reconnect: nothing,

	// A watch is none of the cache's business: a proxy asks a member whether who watches may read (watch.go:209).
	plan.Watch: nothing, plan.Unwatch: nothing, plan.Follow: (*Model).read,
}

func nothing(*Model, plan.Step) result { return result{} }

// flood pushes every answer out of a cache. After a compaction nothing new is kept, so nothing old falls out.
func (m *Model) flood(s plan.Step) result {
	p := m.proxies[plan.Number(s.Via)]
	x := m.asks(way{proxy: plan.Number(s.Via)})
	switch {
	case m.mayNot(s.Client, m.members[p.member]):
		return result{err: plan.ErrDenied}
	case x == nil:
		return result{err: plan.ErrUnavailable}
	case p.compacted < 0:
		clear(p.answers)
	}
	return result{}
}

// link cuts or mends a member from its peers, or a link. What a black hole swallowed is lost as what a cut refused.
func (m *Model) link(s plan.Step) result {
	cut := s.Verb != plan.Mend
	from, to := plan.Ends(s.Target)
	switch {
	case to == "":
		m.members[plan.Number(from)].cut = cut
		m.applied()
	case from[0] == 'p' && to[0] == 'm':
		p := m.proxies[plan.Number(from)]
		p.unlinked = maps.Clone(p.unlinked)
		if p.unlinked == nil {
			p.unlinked = map[int]bool{}
		}
		p.unlinked[plan.Number(to)] = cut
	case from[0] == 'g':
		m.offline[from] = cut
	}
	return result{}
}

// narrow has a proxy ask another member.
func (m *Model) narrow(s plan.Step) result {
	m.proxies[plan.Number(s.Target)].member = plan.Number(s.Other)
	return result{}
}

// reboot empties a proxy's cache, which lives in memory. Whatever the proxy held for a client is lost. A member keeps
// what it had.
func (m *Model) reboot(s plan.Step) result {
	if s.Target[0] != 'p' {
		return result{}
	}
	i := plan.Number(s.Target)
	m.proxies[i].cache = newCache()
	for name, h := range m.held {
		if h.proxy == i {
			m.fail(plan.Step{Name: name})
		}
	}
	return result{}
}

// permit gives a client the role that may read and write everything, or takes it.
func (m *Model) permit(s plan.Step) result {
	next := maps.Clone(m.forbidden)
	if next == nil {
		next = clients{}
	}
	next[s.Target] = s.Verb == plan.Forbid
	m.forbidden = next
	m.applied()
	return result{}
}
