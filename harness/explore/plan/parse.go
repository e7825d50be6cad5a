package plan

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"ghostroute/harness/text"
)

// wrong is the error for a word; right are those that could stand there.
func wrong(word string, right []string, format string, args ...any) error {
	why := fmt.Sprintf(format, args...)
	if near := text.Nearest(word, right); near != "" {
		why += fmt.Sprintf(" (did you mean %q?)", near)
	}
	return errors.New(why)
}

var numbered = regexp.MustCompile(`^\d+\.\s+`)

// Parse reads what Format and Line write. The header may be missing (then the topology is Default's), as may the
// numbers; empty lines and what stands behind # do not count. The error names the line.
func Parse(content string) (Plan, error) {
	p := Default()
	content = strings.ReplaceAll(content, "\r\n", "\n")
	for i, line := range strings.FieldsFunc(content, func(r rune) bool { return r == '|' }) {
		// Of a plan in one line each part counts as a line of its own.
		for j, l := range strings.Split(line, "\n") {
			l, _, _ = strings.Cut(l, "#")
			l = numbered.ReplaceAllString(strings.TrimSpace(l), "")
			if l == "" {
				continue
			}
			words := strings.Fields(l)
			var err error
			if words[0] == "plan" {
				err = p.parseHeader(words[1:])
			} else {
				var s Step
				if s, err = parseStep(words); err == nil {
					p.Steps = append(p.Steps, s)
				}
			}
			if err != nil {
				return p, fmt.Errorf("line %d: %w", i+j+1, err)
			}
		}
	}
	if err := p.check(); err != nil {
		return p, err
	}
	return p, nil
}

func (p *Plan) parseHeader(words []string) error {
	names := []string{"seed=", "members=", "proxies=", "clients=", "auth"}
	for _, w := range words {
		name, value, ok := strings.Cut(w, "=")
		if ok {
			name += "="
		}
		var err error
		switch name {
		case "seed=":
			_, err = fmt.Sscanf(value, "%d", &p.Seed)
		case "members=":
			p.Members, err = count(value)
		case "proxies=":
			p.Proxies, err = count(value)
		case "clients=":
			p.Clients, err = count(value)
		case "auth":
			p.Auth = true
		default:
			return wrong(w, names, "%q is no part of a plan's header", w)
		}
		if err != nil {
			return fmt.Errorf("%q is no number", w)
		}
	}
	return nil
}

// check finds names that the topology does not have.
func (p *Plan) check() error {
	for _, x := range []struct {
		word           string
		n, least, most int
	}{
		{"members", p.Members, 1, MaxMembers}, {"proxies", p.Proxies, 0, MaxProxies},
		{"clients", p.Clients, 1, MaxClients}, {"steps", len(p.Steps), 0, MaxSteps},
	} {
		if x.n < x.least || x.n > x.most {
			return fmt.Errorf("line 1: %s=%d is not within %d and %d", x.word, x.n, x.least, x.most)
		}
	}
	if p.Members%2 == 0 {
		return fmt.Errorf("line 1: members=%d: a cluster has an odd number of members", p.Members)
	}
	for i, s := range p.Steps {
		if err := p.checkStep(s); err != nil {
			return fmt.Errorf("line %d: step %d: %w", i+1, i+1, err)
		}
	}
	return nil
}

func (p *Plan) checkStep(s Step) error {
	for _, name := range []string{s.Client, s.Via, s.Target, s.Other} {
		for part := range strings.SplitSeq(name, "-") {
			if err := p.knows(part); err != nil {
				return err
			}
		}
	}
	if s.Hold != NotHeld && strings.HasPrefix(s.Via, "m") {
		return errors.New("an RPC can be held between a proxy and its member only")
	}
	if s.Verb == Weights && len(s.N) != p.Proxies {
		return fmt.Errorf("%d weights for %d proxies", len(s.N), p.Proxies)
	}
	return nil
}

var nodeName = regexp.MustCompile(`^([gpm])([1-9]\d*)$`)

// knows is an error for the name of a client, proxy or member that the plan does not have.
func (p *Plan) knows(name string) error {
	m := nodeName.FindStringSubmatch(name)
	if m == nil {
		return nil
	}
	what := map[string]string{"g": "clients", "p": "proxies", "m": "members"}[m[1]]
	most := map[string]int{"g": p.Clients, "p": p.Proxies, "m": p.Members}[m[1]]
	if n, err := count(m[2]); err != nil || n > most {
		return fmt.Errorf("there is no %s: the plan has %d %s", name, most, what)
	}
	return nil
}

func parseStep(words []string) (Step, error) {
	s := Step{Verb: Verb(words[0])}
	f, ok := verbs[s.Verb]
	if !ok {
		names := text.Each(Verbs(), func(v Verb) string { return string(v) })
		return s, wrong(words[0], names, "%q is nothing a step can do", words[0])
	}
	rest := words[1:]
	for _, w := range f.words {
		if len(rest) == 0 {
			return s, fmt.Errorf("%s: the %s is missing", s.Verb, w.name)
		}
		if err := w.set(&s, rest[0]); err != nil {
			return s, fmt.Errorf("%s: %w", s.Verb, err)
		}
		rest = rest[1:]
	}
	for len(rest) > 0 && !(s.Verb == Txn && (rest[0] == "if" || rest[0] == "then")) {
		if err := parseOption(&s, f.options, rest[0]); err != nil {
			return s, err
		}
		rest = rest[1:]
	}
	if s.Verb != Txn {
		return s, nil
	}
	t, rest, err := parseBranches(rest, 0)
	if err != nil {
		return s, err
	}
	if len(rest) > 0 {
		return s, wrong(rest[0], []string{";", "else"}, "%q stands behind the transaction's end", rest[0])
	}
	s.Txn = t
	return s, nil
}

func parseOption(s *Step, options []option, word string) error {
	name, value, ok := strings.Cut(word, "=")
	if ok {
		name += "="
	}
	var names []string
	for _, o := range options {
		if o.name == name {
			if err := o.set(s, value); err != nil {
				return fmt.Errorf("%s: %w", s.Verb, err)
			}
			return nil
		}
		names = append(names, o.name)
	}
	if s.Verb == Txn {
		names = append(names, "if", "then")
	}
	return wrong(word, names, "%s cannot take %q", s.Verb, word)
}

// maxDepth is how deep transactions may lie in one another.
const maxDepth = 3

// parseBranches reads "if … then … else …" and returns what stands behind it.
func parseBranches(words []string, depth int) (*Branches, []string, error) {
	if depth > maxDepth {
		return nil, nil, fmt.Errorf("a transaction lies more than %d deep", maxDepth)
	}
	t := &Branches{}
	if len(words) > 0 && words[0] == "if" {
		words = words[1:]
		for {
			if len(words) < 2 {
				return nil, nil, errors.New("txn: a compare is keys, then present or absent")
			}
			c := Compare{Keys: words[0], Absent: words[1] == "absent"}
			if err := checkKeys(c.Keys); err != nil {
				return nil, nil, fmt.Errorf("txn: %w", err)
			}
			if words[1] != "present" && words[1] != "absent" {
				return nil, nil, wrong(words[1], []string{"present", "absent"}, "txn: %q compares nothing", words[1])
			}
			t.If, words = append(t.If, c), words[2:]
			if len(words) == 0 || words[0] != ";" {
				break
			}
			words = words[1:]
		}
	}
	if len(words) == 0 || words[0] != "then" {
		got := ""
		if len(words) > 0 {
			got = words[0]
		}
		return nil, nil, wrong(got, []string{"then"}, "txn: then is missing")
	}
	var err error
	if t.Then, words, err = parseOps(words[1:], depth); err != nil {
		return nil, nil, err
	}
	if len(words) > 0 && words[0] == "else" {
		if t.Else, words, err = parseOps(words[1:], depth); err != nil {
			return nil, nil, err
		}
	}
	return t, words, nil
}

func parseOps(words []string, depth int) ([]Op, []string, error) {
	var ops []Op
	end := func() bool { return len(words) == 0 || words[0] == "else" || words[0] == ")" }
	for !end() {
		if len(ops) > 0 {
			if words[0] != ";" {
				return nil, nil, wrong(words[0], []string{";", "else"}, "txn: %q where ; was due", words[0])
			}
			if words = words[1:]; end() {
				return nil, nil, errors.New("txn: nothing behind ;")
			}
		}
		o := Op{Verb: Verb(words[0])}
		var err error
		switch o.Verb {
		case "(":
			o.Verb = Txn
			if o.Txn, words, err = parseBranches(words[1:], depth+1); err != nil {
				return nil, nil, err
			}
			if len(words) == 0 || words[0] != ")" {
				return nil, nil, errors.New("txn: ) is missing")
			}
			ops, words = append(ops, o), words[1:]
			continue
		case Read, Put, Delete:
		default:
			return nil, nil, wrong(words[0], []string{"read", "put", "delete", "("},
				"txn: %q is nothing a transaction can do", words[0])
		}
		if words = words[1:]; end() {
			return nil, nil, fmt.Errorf("txn: %s of what?", o.Verb)
		}
		// The operation is read as the step of the same verb, whose words and options behind the keys are the same.
		s := Step{Verb: o.Verb}
		f := verbs[o.Verb]
		if err := f.words[2].set(&s, words[0]); err != nil {
			return nil, nil, fmt.Errorf("txn: %w", err)
		}
		options := slices.DeleteFunc(slices.Clone(f.options), func(o option) bool { return o.name == hold.name })
		for words = words[1:]; !end() && words[0] != ";"; words = words[1:] {
			if err := parseOption(&s, options, words[0]); err != nil {
				return nil, nil, err
			}
		}
		o.Keys, o.Lease, o.Shape = s.Keys, s.Lease, s.Shape
		ops = append(ops, o)
	}
	return ops, words, nil
}
