package plan

import (
	"slices"
	"strings"
)

// Shrink makes a smaller plan that still fails: first fewer steps, then simpler ones, until nothing more can be left
// out. fails is asked of each candidate, which is always a plan that makes sense; it must give the same answer for the
// same plan. p itself is taken to fail. At most limit candidates are tried, 0 for no limit.
func Shrink(p Plan, limit int, fails func(Plan) bool) Plan {
	tried := 0
	try := func(q Plan) bool {
		q = q.Repair()
		if !smaller(q, p) || limit > 0 && tried >= limit {
			return false
		}
		tried++
		if !fails(q) {
			return false
		}
		p = q
		return true
	}
	for again := true; again; {
		again = fewer(&p, try)
		again = simpler(&p, try) || again
		again = again || later(&p, try) || past(&p, try)
	}
	return p
}

// fewer takes out runs of steps, from the end and long ones first: what stands behind the failure goes at once.
func fewer(p *Plan, try func(Plan) bool) (better bool) {
	for n := len(p.Steps); n > 0; n /= 2 {
		for i := len(p.Steps) - n; i >= 0; i -= max(n/2, 1) {
			if i+n <= len(p.Steps) && try(p.With(slices.Delete(slices.Clone(p.Steps), i, i+n))) {
				better = true
			}
		}
	}
	return better
}

// simpler tries each simpler form of each step, and lesser names throughout.
func simpler(p *Plan, try func(Plan) bool) (better bool) {
	for i := 0; i < len(p.Steps); i++ {
		for again := true; again && i < len(p.Steps); {
			again = false
			for _, s := range simplerSteps(p.Steps[i]) {
				steps := slices.Clone(p.Steps)
				steps[i] = s
				if try(p.With(steps)) {
					again, better = true, true
					break
				}
			}
		}
	}
	for _, names := range [...][2]string{{"k2", "k1"}, {"k3", "k2"}, {"k3", "k1"}, {"p2", "p1"}, {"s2", "s1"}} {
		if q, err := Parse(strings.ReplaceAll(p.Format(), names[0], names[1])); err == nil && try(q) {
			better = true
		}
	}
	return better
}

// later lets what is held on its way to the member begin where it is released.
func later(p *Plan, try func(Plan) bool) bool {
	for i, release := range p.Steps {
		for j, s := range p.Steps[:i] {
			if release.Verb != Release || s.Hold != AtRequest || s.Name != release.Name {
				continue
			}
			s.Hold, s.Name = NotHeld, ""
			steps := slices.Clone(p.Steps)
			steps[i] = s
			if try(p.With(slices.Delete(steps, j, j+1))) {
				return true
			}
		}
	}
	return false
}

// past sends past the proxies what need not pass them, and takes out a step that this leaves without a use: the grant
// before a revocation that is as good as any other write, the put that a delete needs. Neither helps without the other.
func past(p *Plan, try func(Plan) bool) bool {
	var others []Plan
	for _, put := range p.Steps {
		for i, s := range p.Steps {
			if put.Verb == Put && slices.Contains([]Verb{Put, Delete, Revoke, Expire}, s.Verb) {
				others = append(others, p.With(slices.Replace(slices.Clone(p.Steps), i, i+1,
					Step{Verb: Put, Client: "g1", Via: "m1", Keys: put.Keys})))
			}
		}
	}
	for n := range p.Proxies {
		steps := slices.Clone(p.Steps)
		for i := range steps {
			if steps[i].Via == Name('p', n) {
				steps[i].Via = "m1"
			}
		}
		others = append(others, p.With(steps))
	}
	for _, q := range others {
		for i := range q.Steps {
			if try(q.With(slices.Delete(slices.Clone(q.Steps), i, i+1))) {
				return true
			}
		}
	}
	return false
}

// smaller orders plans: by steps, then by the length of their words, then by how far up the names go.
func smaller(a, b Plan) bool {
	if len(a.Steps) != len(b.Steps) {
		return len(a.Steps) < len(b.Steps)
	}
	var la, lb int
	var ta, tb string
	for i := range a.Steps {
		sa, sb := a.Steps[i].String(), b.Steps[i].String()
		la, lb = la+len(sa), lb+len(sb)
		ta, tb = ta+sa, tb+sb
	}
	many := strings.NewReplacer("*", "~", ".", "~", "/", "~") // one key is simpler than many
	ta, tb = many.Replace(ta), many.Replace(tb)
	return la < lb || la == lb && ta < tb
}

func simplerSteps(s Step) []Step {
	var list []Step
	add := func(change func(*Step)) {
		c := s
		change(&c)
		list = append(list, c)
	}
	if s.Hold != NotHeld {
		add(func(c *Step) { c.Hold, c.Name = NotHeld, "" })
		if s.Name != "h1" {
			add(func(c *Step) { c.Name = "h1" })
		}
	}
	if s.Lease != "" && s.Verb == Put {
		add(func(c *Step) { c.Lease = "" })
	}
	for _, plain := range plainer(s.Shape) {
		add(func(c *Step) { c.Shape = plain })
	}
	for _, keys := range lesserKeys(s.Verb, s.Keys) {
		add(func(c *Step) { c.Keys = keys })
	}
	if s.Client != "" && s.Client != "g1" {
		add(func(c *Step) { c.Client = "g1" })
	}
	switch {
	case s.Via == "" || s.Via == "p1":
	case s.Via[0] == 'm':
		add(func(c *Step) { c.Via = "m1" })
	default:
		add(func(c *Step) { c.Via = "p1" })
		if s.Via == VIP {
			add(func(c *Step) { c.Via = "p2" })
		}
	}
	if s.Leader {
		add(func(c *Step) { c.Leader = false })
	}
	if s.Idle {
		add(func(c *Step) { c.Idle = false })
	}
	if s.Back > 0 {
		add(func(c *Step) { c.Back-- })
	}
	if s.Verb == Txn {
		for _, t := range simplerBranches(s.Txn) {
			add(func(c *Step) { c.Txn = t })
		}
		if ops := s.Txn.Then; len(s.Txn.If)+len(s.Txn.Else) == 0 && len(ops) == 1 && ops[0].Verb != Txn {
			add(func(c *Step) {
				*c = Step{Verb: ops[0].Verb, Client: s.Client, Via: s.Via, Keys: ops[0].Keys, Lease: ops[0].Lease,
					Shape: ops[0].Shape, Hold: s.Hold, Name: s.Name}
			})
		}
	}
	return list
}

func plainer(s Shape) []Shape {
	if s == (Shape{}) {
		return nil
	}
	list := []Shape{{}}
	if s.Linearizable {
		p := s
		p.Linearizable = false
		list = append(list, p)
	}
	if s.Ago > 0 {
		p := s
		p.Ago--
		list = append(list, p)
	}
	return list
}

// lesserKeys are simpler keys for the same verb; only one key can be put.
func lesserKeys(verb Verb, keys string) []string {
	if keys == "" || keys == "k1" {
		return nil
	}
	if verb == Put {
		return []string{"k1", "k2"}
	}
	if serviceName.MatchString(keys) {
		return []string{"s1"}
	}
	return []string{"k1", "k2", "k*", "k1..", "k2.."}
}

func simplerBranches(t *Branches) []*Branches {
	var list []*Branches
	add := func(change func(*Branches)) {
		c := Branches{If: slices.Clone(t.If), Then: slices.Clone(t.Then), Else: slices.Clone(t.Else)}
		change(&c)
		list = append(list, &c)
	}
	if len(t.Else) > 0 {
		add(func(c *Branches) { c.Else = nil })
		add(func(c *Branches) { c.If, c.Then, c.Else = nil, t.Else, nil })
	}
	for i := range t.If {
		add(func(c *Branches) { c.If = slices.Delete(c.If, i, i+1) })
		for _, keys := range lesserKeys(Txn, t.If[i].Keys) {
			add(func(c *Branches) { c.If[i].Keys = keys })
		}
	}
	ops := func(of func(*Branches) *[]Op) {
		for i, o := range *of(t) {
			add(func(c *Branches) { *of(c) = slices.Delete(*of(c), i, i+1) })
			for _, keys := range lesserKeys(o.Verb, o.Keys) {
				add(func(c *Branches) { (*of(c))[i].Keys = keys })
			}
			for _, plain := range plainer(o.Shape) {
				add(func(c *Branches) { (*of(c))[i].Shape = plain })
			}
			if o.Lease != "" {
				add(func(c *Branches) { (*of(c))[i].Lease = "" })
			}
			if o.Txn != nil {
				add(func(c *Branches) { *of(c) = slices.Replace(*of(c), i, i+1, o.Txn.Then...) })
				for _, inner := range simplerBranches(o.Txn) {
					add(func(c *Branches) { (*of(c))[i].Txn = inner })
				}
			}
		}
	}
	ops(func(b *Branches) *[]Op { return &b.Then })
	ops(func(b *Branches) *[]Op { return &b.Else })
	return list
}
