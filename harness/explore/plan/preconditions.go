package plan

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// Preconditions follow a plan just far enough to say which next steps make sense. They keep out what means nothing, as
// releasing what is not held, and nothing for being wild.
type Preconditions struct {
	plan      Plan
	leases    map[string]bool
	held      map[string]bool   // holds
	at        map[string]string // hold → proxy
	broken    map[string]bool   // members and links that are cut or delayed
	running   map[string]bool   // instances
	forbidden map[string]bool   // clients
	watches   map[string]bool   // that were asked for and not given up
}

// Begin is what holds before p's first step.
func (p Plan) Begin() *Preconditions {
	return &Preconditions{plan: p, leases: map[string]bool{}, held: map[string]bool{}, at: map[string]string{},
		broken: map[string]bool{}, running: map[string]bool{},
		forbidden: map[string]bool{}, watches: map[string]bool{}}
}

// Clone is a copy that goes another way.
func (x *Preconditions) Clone() *Preconditions {
	return &Preconditions{x.plan, maps.Clone(x.leases), maps.Clone(x.held), maps.Clone(x.at), maps.Clone(x.broken),
		maps.Clone(x.running), maps.Clone(x.forbidden), maps.Clone(x.watches)}
}

// Take says whether the step makes sense now, and if so follows it.
func (x *Preconditions) Take(s Step) bool {
	v := verbs[s.Verb]
	switch {
	case s.Hold != NotHeld && (x.held[s.Name] || s.Via[0] != 'p'):
		return false // a VIP's connection may go while a call of it is held
	case s.Via == VIP && s.Client == "" && v.class != Registry:
		return false // a VIP is one client's
	case v.class == Registry && (x.plan.Auth || strings.HasPrefix(s.Via, "m")):
		// With auth on a keep-alive through a proxy is never answered; on a member there is nothing to find but a put.
		return false
	case v.takes != nil && !v.takes(x, s):
		return false
	}
	if s.Hold != NotHeld {
		x.held[s.Name], x.at[s.Name] = true, s.Via
	}
	return true
}

// reboot is Reboot's condition. A proxy that stops loses what it holds.
func (x *Preconditions) reboot(s Step) bool {
	member := s.Target[0] == 'm'
	switch {
	case x.broken[s.Target] || x.plan.Members == 1 && member:
		return false
	case x.plan.Auth && len(x.held) > 0 && member:
		return false // a member that stops forgets every token, and a held call cannot fetch another
	}
	maps.DeleteFunc(x.held, func(name string, _ bool) bool { return x.at[name] == s.Target })
	return true
}

// quorumWithout says whether the members still make a majority when this one is cut off too.
func (x *Preconditions) quorumWithout(member string) bool {
	lost := 1
	for name := range x.broken {
		if name != member && strings.HasPrefix(name, "m") {
			lost++
		}
	}
	return lost <= (x.plan.Members-1)/2
}

// add puts a name into a set and says whether it is new there; remove takes it out and says whether it was there.
func add(set map[string]bool, name string) bool {
	was := set[name]
	set[name] = true
	return !was
}

func remove(set map[string]bool, name string) bool {
	was := set[name]
	delete(set, name)
	return was
}

// Repair is p without the steps that make no sense where they stand, as happens when others are taken out.
func (p Plan) Repair() Plan {
	x := p.Begin()
	var steps []Step
	for _, s := range p.Steps {
		if x.Take(s) {
			steps = append(steps, s)
		}
	}
	return p.With(steps)
}

// Bound is p for proxies that are processes. A call that is held there is on its connection to a member, which neither
// the model nor an embedded proxy's gate knows: the steps are left out that take the member from it, and no call is
// held while a proxy has lost one.
func (p Plan) Bound() Plan {
	x := p.Begin()
	var steps []Step
	for _, s := range p.Steps {
		if len(x.held) > 0 && s.parts() {
			continue
		}
		if s.Hold != NotHeld && slices.ContainsFunc(slices.Collect(maps.Keys(x.broken)), toMember) {
			s.Hold, s.Name = NotHeld, ""
		}
		if x.Take(s) {
			steps = append(steps, s)
		}
	}
	return p.With(steps)
}

// parts says whether the step takes a member from a proxy that has asked it.
func (s Step) parts() bool {
	switch s.Verb {
	case Narrow:
		return true
	case Reboot:
		return s.Target[0] == 'm'
	case Cut, Blackhole:
		return toMember(s.Target)
	}
	return false
}

// toMember says whether a link is a proxy's to a member.
func toMember(link string) bool { return link[0] == 'p' }

// Closing is the steps that end whatever is still open after p, so that nothing is pending: held calls go on in the
// order of their names, what is cut is mended.
func (p Plan) Closing() (steps []Step) {
	x := p.Begin()
	for _, s := range p.Steps {
		x.Take(s)
	}
	for _, name := range slices.Sorted(maps.Keys(x.held)) {
		steps = append(steps, Step{Verb: Release, Name: name})
	}
	for _, target := range slices.Sorted(maps.Keys(x.broken)) {
		steps = append(steps, Step{Verb: Mend, Target: target})
	}
	return steps
}

// Probes are the reads that ask again what p's steps asked, without a revision: serializable, by a client that may read
// at the end of p if there is one. They say no endpoint.
func (p Plan) Probes() (reads []Step) {
	x := p.Begin()
	client := ""
	known := map[string]bool{}
	for _, s := range p.Steps {
		x.Take(s)
		asks := verbs[s.Verb].asks
		if asks == nil {
			continue
		}
		for _, o := range asks(s) {
			o.Linearizable = false
			if r := (Step{Verb: Read, Keys: o.Keys, Shape: o.Shape}); !o.Past && add(known, r.String()) {
				reads = append(reads, r)
			}
		}
	}
	for i := range p.Clients {
		if g := Name('g', i); client == "" && !x.forbidden[g] {
			client = g
		}
	}
	for i := range reads {
		reads[i].Client = cmp.Or(client, "g1")
	}
	return reads
}
