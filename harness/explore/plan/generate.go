package plan

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"pgregory.net/rapid"
)

// Config is what random plans are drawn from. The zero value of a field means its default.
type Config struct {
	Members, Proxies, Clients int    // default: those of Default
	Keys                      int    // k1 … ; default 3
	Services                  int    // s1 … with instances a, b and c; default 2
	Steps                     int    // as many at most; default 30
	Auth                      bool   // clients are users
	Verbs                     []Verb // what to draw from; default everything that the topology allows
}

// Calls are the verbs of etcd's own API and of holding calls: those that need no registry, balancer or gateway.
func Calls() []Verb {
	return []Verb{Read, Put, Delete, Txn, Grant, Revoke, Keepalive, Expire, Compact, Release, Fail, Cut, Mend, Reboot, Pin, Permit, Forbid}
}

// weight is how often a verb is drawn. Reads and writes make the incidents, so most steps are such.
func weight(v Verb) int {
	switch v {
	case Read:
		return 14
	case Put, Delete:
		return 7
	case Txn, Register, Resolve, Release:
		return 5
	case Deregister, Grant, Revoke, Expire, Fail:
		return 3
	case Flood:
		return 0 // two thousand reads: only where it is asked for by name
	}
	return 1
}

func (c Config) filled() Config {
	d := Default()
	c.Members, c.Proxies, c.Clients = or(c.Members, d.Members), or(c.Proxies, d.Proxies), or(c.Clients, d.Clients)
	c.Keys, c.Services, c.Steps = or(c.Keys, 3), or(c.Services, 2), or(c.Steps, 30)
	if c.Verbs == nil {
		c.Verbs = slices.Sorted(maps.Keys(forms))
		c.Verbs = slices.DeleteFunc(c.Verbs, func(v Verb) bool { return weight(v) == 0 || c.Auth && registers(v) })
	}
	return c
}

func or(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}

// Plans draws plans for property tests; rapid makes them small and shrinks them.
func Plans(c Config) *rapid.Generator[Plan] {
	c = c.filled()
	return rapid.Custom(func(t *rapid.T) Plan {
		step := rapid.Custom(func(t *rapid.T) Step {
			return dice{c, func(least, most int) int { return rapid.IntRange(least, most).Draw(t, "n") }}.step()
		})
		return c.plan(rapid.SliceOfN(step, 1, c.Steps).Draw(t, "steps"))
	})
}

// Random is the plan of a seed: the same one for the same seed and configuration, on every machine. It is as long as the
// configuration allows, less the steps that would have made no sense.
func Random(c Config, seed uint64) Plan {
	c = c.filled()
	r := rand.New(rand.NewPCG(seed, 0))
	d := dice{c, func(least, most int) int { return least + r.IntN(most-least+1) }}
	steps := make([]Step, c.Steps)
	for i := range steps {
		steps[i] = d.step()
	}
	p := c.plan(steps)
	p.Seed = seed
	return p
}

func (c Config) plan(steps []Step) Plan {
	return Plan{Members: c.Members, Proxies: c.Proxies, Clients: c.Clients, Auth: c.Auth, Steps: steps}.Repair()
}

// dice is what draws for one step.
type dice struct {
	Config
	from func(least, most int) int
}

func pick[T any](d dice, list ...T) T { return list[d.from(0, len(list)-1)] }

func (d dice) step() Step {
	var verbs []Verb
	for _, v := range d.Verbs {
		n := weight(v)
		for range max(n, 1) {
			verbs = append(verbs, v)
		}
	}
	s := Step{Verb: pick(d, verbs...)}
	for _, w := range forms[s.Verb].words {
		if err := w.set(&s, d.word(w.name)); err != nil {
			panic(fmt.Sprintf("%s: %v", s.Verb, err)) // the grammar and this file disagree
		}
	}
	switch s.Verb {
	case Read:
		s.Shape = d.shape()
	case Put:
		s.Lease = d.maybeLease()
	case Txn:
		s.Txn = d.branches(0)
	case Compact:
		s.Back = d.from(0, 3)
	}
	if slices.Contains(Calls()[:4], s.Verb) && s.Via[0] == 'p' && d.one(4) {
		s.Hold = pick(d, AtRequest, AtAnswer)
		s.Name = d.named('h', 3)
	}
	return s
}

// word draws one word of a step's line by the name it has in the grammar.
func (d dice) word(name string) string {
	switch name {
	case "client":
		return d.named('g', d.Clients)
	case "door":
		return d.door()
	case "proxy":
		return d.named('p', d.Proxies)
	case "member":
		return d.named('m', d.Members)
	case "node":
		if d.one(2) {
			return d.named('m', d.Members)
		}
		return d.named('p', d.Proxies)
	case "link":
		return d.link()
	case "lease":
		return d.named('l', 2)
	case "lease or instance":
		if d.one(2) && slices.Contains(d.Verbs, Register) {
			return d.instance()
		}
		return d.named('l', 2)
	case "hold":
		return d.named('h', 3)
	case "service":
		return d.named('s', d.Services)
	case "instance":
		return d.instance()
	case "keys":
		return d.keys()
	case "key":
		return d.key()
	case "delay in milliseconds":
		return fmt.Sprint(d.from(1, 20))
	case "weights":
		var s Step
		for range d.Proxies {
			s.N = append(s.N, d.from(0, 3))
		}
		for _, w := range forms[Weights].words {
			return w.get(&s)
		}
	}
	panic("no such word: " + name)
}

// one is true once in n times.
func (d dice) one(n int) bool { return d.from(1, n) == 1 }

func (d dice) named(kind rune, n int) string { return fmt.Sprintf("%c%d", kind, d.from(1, max(n, 1))) }

// door is mostly a proxy: that is where the cache is.
func (d dice) door() string {
	switch {
	case d.Proxies == 0 || d.one(6):
		return d.named('m', d.Members)
	case d.one(6) && slices.Contains(d.Verbs, Weights):
		return VIP
	}
	return d.named('p', d.Proxies)
}

func (d dice) link() string {
	switch d.from(1, 3) {
	case 1:
		return d.named('p', d.Proxies) + "-" + d.named('m', d.Members)
	case 2:
		if slices.Contains(d.Verbs, Weights) {
			return d.named('g', d.Clients) + "-vip"
		}
	}
	return d.named('m', d.Members)
}

func (d dice) instance() string {
	return d.named('s', d.Services) + "/" + pick(d, "a", "b", "c")
}

func (d dice) key() string {
	if d.one(5) && slices.Contains(d.Verbs, Register) {
		return d.instance()
	}
	return d.named('k', d.Keys)
}

func (d dice) keys() string {
	switch d.from(1, 8) {
	case 1, 2:
		return "k*"
	case 3:
		return d.named('k', d.Keys) + ".."
	case 4:
		a := d.from(1, d.Keys)
		return fmt.Sprintf("k%d..k%d", a, a+d.from(1, d.Keys))
	case 5:
		if slices.Contains(d.Verbs, Register) {
			return pick(d, "/*", "s1/*", "s1/a..")
		}
	case 6:
		if d.one(3) {
			return ".."
		}
	}
	return d.key()
}

func (d dice) shape() Shape {
	s := Shape{Linearizable: d.one(3)}
	switch d.from(1, 8) {
	case 1:
		s.Count = true
	case 2:
		s.KeysOnly = true
	case 3:
		s.Limit = d.from(1, 2)
	case 4:
		s.Sort = pick(d, "key:down", "mod:up", "mod:down", "create:down", "version:up", "value:down")
	case 5:
		s.Past, s.Ago = true, d.from(0, 3)
	}
	return s
}

func (d dice) maybeLease() string {
	if d.one(3) {
		return d.named('l', 2)
	}
	return ""
}

func (d dice) branches(depth int) *Branches {
	b := &Branches{}
	for range d.from(0, 2) {
		b.If = append(b.If, Compare{Keys: d.keys(), Absent: d.one(2)})
	}
	b.Then = d.ops(depth, 1)
	if d.one(2) {
		b.Else = d.ops(depth, 0)
	}
	return b
}

func (d dice) ops(depth, least int) []Op {
	var ops []Op
	for range d.from(least, 3) {
		switch d.from(1, 7) {
		case 1, 2:
			ops = append(ops, Op{Verb: Read, Keys: d.keys(), Shape: d.shape()})
		case 3, 4:
			ops = append(ops, Op{Verb: Put, Keys: d.key(), Lease: d.maybeLease()})
		case 5:
			ops = append(ops, Op{Verb: Delete, Keys: d.keys()})
		default:
			if depth < 2 {
				ops = append(ops, Op{Verb: Txn, Txn: d.branches(depth + 1)})
			}
		}
	}
	return ops
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
