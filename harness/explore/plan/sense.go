package plan

import "strings"

// sense follows a plan just far enough to say which next steps make sense. It keeps out what means nothing – releasing what
// nobody holds – and nothing for being wild.
type sense struct {
	plan    *Plan
	leases  map[string]bool
	held    map[string]string // hold → proxy
	cut     map[string]bool   // members and links, delayed ones too
	running map[string]bool   // instances
	denied  map[string]bool   // clients
}

func newSense(p *Plan) *sense {
	return &sense{plan: p, leases: map[string]bool{}, held: map[string]string{}, cut: map[string]bool{},
		running: map[string]bool{}, denied: map[string]bool{}}
}

// takes says whether the step makes sense now, and if so follows it.
func (x *sense) takes(s Step) bool {
	if s.Hold != NotHeld {
		if _, open := x.held[s.Name]; open || !strings.HasPrefix(s.Via, "p") {
			return false // a VIP's connection may go while a call of it is held
		}
	}
	if !x.leased(s) {
		return false
	}
	if s.Via == VIP && s.Who == "" && !registers(s.Verb) {
		return false // a VIP is somebody's
	}
	if registers(s.Verb) && (x.plan.Auth || strings.HasPrefix(s.Via, "m")) {
		return false // with auth on a keep-alive through a proxy is never answered; on a member there is nothing to find but a put
	}
	switch s.Verb {
	case Grant:
		x.leases[s.Lease] = true
	case Revoke:
		delete(x.leases, s.Lease)
	case Expire:
		delete(x.leases, s.Lease)
	case Release, Fail:
		if _, open := x.held[s.Name]; !open {
			return false
		}
		delete(x.held, s.Name)
	case Cut:
		if x.cut[s.Target] || strings.HasPrefix(s.Target, "m") && !x.quorumWithout(s.Target) {
			return false
		}
		x.cut[s.Target] = true
	case Delay:
		if x.cut[s.Target] {
			return false
		}
		x.cut[s.Target] = true
	case Mend:
		if !x.cut[s.Target] {
			return false
		}
		delete(x.cut, s.Target)
	case Lead:
		return !x.cut[s.Target]
	case Reboot:
		if x.cut[s.Target] || x.plan.Members == 1 && s.Target[0] == 'm' {
			return false
		}
		if x.plan.Auth && len(x.held) > 0 && s.Target[0] == 'm' {
			return false // a member that stops forgets every token, and a held call cannot fetch another
		}
		for name, proxy := range x.held {
			if proxy == s.Target {
				delete(x.held, name)
			}
		}
	case Register:
		x.running[s.Target] = true
	case Deregister, Crash:
		if !x.running[s.Target] {
			return false
		}
		delete(x.running, s.Target)
	case Restart:
		return x.running[s.Target]
	case Replace:
		if !x.running[s.Target] || x.running[s.Other] || s.Target == s.Other {
			return false
		}
		delete(x.running, s.Target)
		x.running[s.Other] = true
	case Permit, Forbid:
		if !x.plan.Auth || x.denied[s.Target] != (s.Verb == Permit) {
			return false
		}
		x.denied[s.Target] = s.Verb == Forbid
	case ExpireToken:
		return x.plan.Auth && len(x.held) == 0
	}
	if s.Hold != NotHeld {
		x.held[s.Name] = s.Via
	}
	return true
}

// leased says whether the leases that the step names are there, or not there to be granted.
func (x *sense) leased(s Step) bool {
	switch s.Verb {
	case Grant:
		return !x.leases[s.Lease]
	case Keepalive:
		return x.leases[s.Lease] && !(x.plan.Auth && strings.HasPrefix(s.Via, "p"))
	case Revoke, Expire:
		return x.leases[s.Lease] || strings.Contains(s.Lease, "/")
	case Put:
		return s.Lease == "" || x.leases[s.Lease]
	}
	return true
}

// registers says whether the step is go-micro's and not a plain call.
func registers(v Verb) bool {
	switch v {
	case Register, Deregister, Crash, Restart, Replace, Resolve, List, Call:
		return true
	}
	return false
}

// quorumWithout says whether the members still make a majority when this one is cut off too.
func (x *sense) quorumWithout(member string) bool {
	lost := 1
	for name := range x.cut {
		if name != member && strings.HasPrefix(name, "m") {
			lost++
		}
	}
	return lost <= (x.plan.Members-1)/2
}

// Repair is p without the steps that make no sense where they stand, as happens when others are taken out.
func (p Plan) Repair() Plan {
	x := newSense(&p)
	var steps []Step
	for _, s := range p.Steps {
		if x.takes(s) {
			steps = append(steps, s)
		}
	}
	return p.With(steps)
}

// Settle is the steps that end whatever is still open after p, so that nothing is pending: held calls go on in the order of
// their names, what is cut is mended.
func (p Plan) Settle() []Step {
	x := newSense(&p)
	for _, s := range p.Steps {
		x.takes(s)
	}
	var steps []Step
	for _, name := range sorted(x.held) {
		steps = append(steps, Step{Verb: Release, Name: name})
	}
	for _, target := range sorted(x.cut) {
		steps = append(steps, Step{Verb: Mend, Target: target})
	}
	return steps
}
