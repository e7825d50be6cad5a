package plan

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
)

// Config is what random plans are drawn from. The zero value of a field means its default.
type Config struct {
	Members, Proxies, Clients int    // default: those of Default
	Keys                      int    // k1 … ; default 3
	Services                  int    // s1 … with instances a, b and c; default 2
	Steps                     int    // as many at most; default 30
	Auth                      bool   // clients are users
	Watches                   bool   // clients hold watches open: other verbs, and each as often as those need it
	Verbs                     []Verb // what to draw from; default everything that the topology allows
}

func (c Config) filled() Config {
	d := Default()
	c.Members, c.Proxies = cmp.Or(c.Members, d.Members), cmp.Or(c.Proxies, d.Proxies)
	c.Clients, c.Services = cmp.Or(c.Clients, d.Clients), cmp.Or(c.Services, 2)
	c.Keys, c.Steps = cmp.Or(c.Keys, 3), cmp.Or(c.Steps, 30)
	if c.Verbs == nil {
		c.Verbs = slices.DeleteFunc(Verbs(), func(v Verb) bool {
			return c.weight(v) == 0 || c.Auth && v.Class() == Registry
		})
	}
	return c
}

// weight is how often a verb is drawn.
func (c Config) weight(v Verb) int {
	if c.Watches {
		return verbs[v].watched
	}
	return verbs[v].weight
}

// Random is the plan of a seed: the same one for the same seed and configuration, on every machine. It is as long as
// the configuration allows, less the steps that would have made no sense.
func Random(c Config, seed uint64) Plan {
	r := rand.New(rand.NewPCG(seed, 0))
	g := newGenerator(c, func(least, most int) int { return least + r.IntN(most-least+1) })
	steps := make([]Step, g.Steps)
	for i := range steps {
		steps[i] = g.step()
	}
	p := g.plan(steps)
	p.Seed = seed
	return p
}

// generator draws steps.
type generator struct {
	Config
	from  func(least, most int) int // a random number
	drawn []Verb                    // each verb as often as it weighs
}

func newGenerator(c Config, from func(least, most int) int) *generator {
	g := &generator{Config: c.filled(), from: from}
	for _, v := range g.Verbs {
		g.drawn = append(g.drawn, slices.Repeat([]Verb{v}, max(g.weight(v), 1))...)
	}
	return g
}

// plan is a plan of those steps that make sense.
func (g *generator) plan(steps []Step) Plan {
	return Plan{Members: g.Members, Proxies: g.Proxies, Clients: g.Clients, Auth: g.Auth, Steps: steps}.Repair()
}

func pick[T any](g *generator, list ...T) T { return list[g.from(0, len(list)-1)] }

func (g *generator) step() Step {
	s := Step{Verb: pick(g, g.drawn...)}
	v := verbs[s.Verb]
	for _, w := range v.words {
		if err := w.set(&s, w.draw(g)); err != nil {
			panic(fmt.Sprintf("%s: %v", s.Verb, err)) // a word's pattern and what it draws disagree
		}
	}
	if v.draw != nil {
		v.draw(g, &s)
	}
	if s.Verb.Holdable() && s.Via[0] == 'p' && g.one(4) {
		s.Hold, s.Name = pick(g, AtRequest, AtAnswer), g.hold()
	}
	return s
}

// one is true once in n times.
func (g *generator) one(n int) bool { return g.from(1, n) == 1 }

func (g *generator) can(v Verb) bool { return slices.Contains(g.Verbs, v) }

func (g *generator) named(kind rune, n int) string {
	return fmt.Sprintf("%c%d", kind, g.from(1, max(n, 1)))
}

func (g *generator) client() string  { return g.named('g', g.Clients) }
func (g *generator) proxy() string   { return g.named('p', g.Proxies) }
func (g *generator) member() string  { return g.named('m', g.Members) }
func (g *generator) lease() string   { return g.named('l', 2) }
func (g *generator) hold() string    { return g.named('h', 3) }
func (g *generator) service() string { return g.named('s', g.Services) }
func (g *generator) watch() string   { return g.named('w', 9) }
func (g *generator) delay() string   { return fmt.Sprint(g.from(1, 20)) }

func (g *generator) instance() string { return g.service() + "/" + pick(g, "a", "b", "c") }

func (g *generator) node() string {
	if g.one(2) {
		return g.member()
	}
	return g.proxy()
}

func (g *generator) leaseOrInstance() string {
	if g.one(2) && g.can(Register) {
		return g.instance()
	}
	return g.lease()
}

func (g *generator) maybeLease() string {
	if g.one(3) {
		return g.lease()
	}
	return ""
}

func (g *generator) weights() string {
	var s Step
	for range g.Proxies {
		s.N = append(s.N, g.from(0, 3))
	}
	return weightsText(&s)
}

// endpoint is mostly a proxy: that is where the cache is.
func (g *generator) endpoint() string {
	switch {
	case g.Proxies == 0 || g.one(6):
		return g.member()
	case g.one(6) && g.can(Weights):
		return VIP
	}
	return g.proxy()
}

// holder is where a client holds something open: as endpoint, but for the VIP.
func (g *generator) holder() string {
	if g.Proxies == 0 || g.one(6) {
		return g.member()
	}
	return g.proxy()
}

func (g *generator) link() string {
	switch g.from(1, 3) {
	case 1:
		return g.proxy() + "-" + g.member()
	case 2:
		if g.can(Weights) {
			return g.client() + "-" + VIP
		}
	}
	return g.member()
}

func (g *generator) key() string {
	if g.one(5) && g.can(Register) {
		return g.instance()
	}
	return g.named('k', g.Keys)
}

func (g *generator) keys() string {
	switch g.from(1, 8) {
	case 1, 2:
		return "k*"
	case 3:
		return g.named('k', g.Keys) + ".."
	case 4:
		a := g.from(1, g.Keys)
		return fmt.Sprintf("k%d..k%d", a, a+g.from(1, g.Keys))
	case 5:
		if g.can(Register) {
			return pick(g, "/*", "s1/*", "s1/a..")
		}
	case 6:
		if g.one(3) {
			return ".."
		}
	}
	return g.key()
}

func (g *generator) shape() Shape {
	s := Shape{Linearizable: g.one(3)}
	switch g.from(1, 8) {
	case 1:
		s.Count = true
	case 2:
		s.KeysOnly = true
	case 3:
		s.Limit = g.from(1, 2)
	case 4:
		s.Sort = pick(g, "key:down", "mod:up", "mod:down", "create:down", "version:up", "value:down")
	case 5:
		s.Past, s.Ago = true, g.from(0, 3)
	}
	return s
}

// watched is what clients watch. There are few such ranges, so that several watch the same.
func (g *generator) watched() string {
	if g.one(3) {
		return "k*"
	}
	return g.named('k', min(g.Keys, 2))
}

// watching is from where and how a client watches.
func (g *generator) watching(s *Step) {
	if g.one(3) {
		s.Past, s.Ago = true, g.from(0, 3)
	}
	s.Leader, s.Idle = g.one(6), g.one(4)
}

func (g *generator) branches(depth int) *Branches {
	b := &Branches{}
	for range g.from(0, 2) {
		b.If = append(b.If, Compare{Keys: g.keys(), Absent: g.one(2)})
	}
	b.Then = g.ops(depth, 1)
	if g.one(2) {
		b.Else = g.ops(depth, 0)
	}
	return b
}

func (g *generator) ops(depth, least int) (ops []Op) {
	for range g.from(least, 3) {
		switch g.from(1, 7) {
		case 1, 2:
			ops = append(ops, Op{Verb: Read, Keys: g.keys(), Shape: g.shape()})
		case 3, 4:
			ops = append(ops, Op{Verb: Put, Keys: g.key(), Lease: g.maybeLease()})
		case 5:
			ops = append(ops, Op{Verb: Delete, Keys: g.keys()})
		default:
			if depth < 2 {
				ops = append(ops, Op{Verb: Txn, Txn: g.branches(depth + 1)})
			}
		}
	}
	return ops
}
