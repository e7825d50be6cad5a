package explore

import (
	"errors"
	"fmt"

	"ghostroute/harness/explore/plan"
	"ghostroute/harness/history"
)

// Ghost is what a plan left behind in a proxy for good.
type Ghost struct {
	Proxy  string
	Read   plan.Step   // that shows it
	Told   plan.Answer // by the cache
	Truth  plan.Answer
	Healed bool // a linearizable read of the same request through the same proxy ended it
}

// Error is the broken promise, then who and where.
func (g *Ghost) Error() string {
	return fmt.Sprintf("broken promise: once everything is healed and nothing is pending, every client is told the truth: "+
		"%s answers %q with %s; the truth is %s", g.Proxy, g.Read, g.Told, g.Truth)
}

// Converge takes p's steps, lets go of and mends whatever p left open, and then asks every proxy, serializably, for whatever
// p had read, and a member for the truth. It returns the first answer that differs, nil if there is none. The oracle, if there
// is one, is held to the machine all the way.
func Converge(p plan.Plan, start, oracle Start) (ghost *Ghost, err error) {
	machine, other, end, err := begin(p, start, oracle)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, end()) }()
	if _, err := Take(append(append([]plan.Step{}, p.Steps...), p.Settle()...), machine, other); err != nil {
		return nil, err
	}
	for _, read := range Probes(p) {
		for i := range p.Proxies {
			through := read
			through.Via = fmt.Sprintf("p%d", i+1)
			direct := read
			direct.Via, direct.Linearizable = "m1", true
			seen, err := Take([]plan.Step{through, direct}, machine, other)
			if err != nil {
				return nil, err
			}
			if seen[0].Err != "" || seen[1].Err != "" {
				continue // a client without a role, say
			}
			told, truth := seen[0].Answers[0], seen[1].Answers[0]
			if told.Source != history.Hit || told.Same(truth) {
				continue
			}
			ghost := &Ghost{Proxy: through.Via, Read: through, Told: told, Truth: truth}
			look := through
			look.Linearizable = true
			if seen, err = Take([]plan.Step{look, through}, machine, other); err != nil {
				return nil, err
			}
			ghost.Healed = seen[1].Err == "" && seen[1].Answers[0].Same(truth)
			return ghost, nil
		}
	}
	return nil, nil
}

// Probes are the reads that ask again what p's steps asked, without a revision: serializable, by a client that may read to the
// end of p if there is one.
func Probes(p plan.Plan) []plan.Step {
	forbidden := map[string]bool{}
	var reads []plan.Step
	known := map[string]bool{}
	add := func(keys string, shape plan.Shape) {
		if shape.Past {
			return
		}
		shape.Linearizable = false
		if s := (plan.Step{Verb: plan.Read, Keys: keys, Shape: shape}); !known[s.String()] {
			known[s.String()] = true
			reads = append(reads, s)
		}
	}
	var inTxn func(*plan.Branches)
	inTxn = func(b *plan.Branches) {
		for _, ops := range [][]plan.Op{b.Then, b.Else} {
			for _, o := range ops {
				switch o.Verb {
				case plan.Read:
					add(o.Keys, o.Shape)
				case plan.Txn:
					inTxn(o.Txn)
				}
			}
		}
	}
	for _, s := range p.Steps {
		switch s.Verb {
		case plan.Read:
			add(s.Keys, s.Shape)
		case plan.Txn:
			inTxn(s.Txn)
		case plan.Resolve, plan.Call:
			add(s.Keys+"/*", plan.Shape{})
		case plan.List:
			add("/*", plan.Shape{})
		case plan.Register, plan.Restart:
			add(s.Target, plan.Shape{}) // registering reads the instance's own key
		case plan.Replace:
			add(s.Other, plan.Shape{})
		case plan.Forbid, plan.Permit:
			forbidden[s.Target] = s.Verb == plan.Forbid
		}
	}
	who := "g1"
	for i := p.Clients; i > 0; i-- {
		if g := fmt.Sprintf("g%d", i); !forbidden[g] {
			who = g
		}
	}
	for i := range reads {
		reads[i].Who = who
	}
	return reads
}
