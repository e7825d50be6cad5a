package plan

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Error is a word that a plan cannot have.
type Error struct {
	Line int    // from 1
	Word string // the wrong word; "" where one is missing
	Why  string
	Near string // the nearest right word, "" where none is near
}

func (e *Error) Error() string {
	text := fmt.Sprintf("line %d: %s", e.Line, e.Why)
	if e.Near != "" {
		text += fmt.Sprintf(" (did you mean %q?)", e.Near)
	}
	return text
}

var numbered = regexp.MustCompile(`^\d+\.\s+`)

// Parse reads what Format and Line write. The header may be missing (then the topology is Default's), as may the numbers;
// empty lines and what stands behind # do not count. A plan that is no plan is an *Error.
func Parse(text string) (Plan, error) {
	p := Default()
	for i, line := range strings.FieldsFunc(strings.ReplaceAll(text, "\r\n", "\n"), func(r rune) bool { return r == '|' }) {
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
				e := err.(*Error)
				e.Line = i + j + 1
				return p, e
			}
		}
	}
	if err := p.check(); err != nil {
		return p, err
	}
	return p, nil
}

// ParseStep reads one step's line.
func ParseStep(line string) (Step, error) {
	words := strings.Fields(numbered.ReplaceAllString(strings.TrimSpace(line), ""))
	if len(words) == 0 {
		return Step{}, &Error{Line: 1, Why: "the line is empty"}
	}
	s, err := parseStep(words)
	if err != nil {
		err.(*Error).Line = 1
		return s, err
	}
	return s, nil
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
			return wrong(w, fmt.Sprintf("%q is no part of a plan's header", w), names)
		}
		if err != nil {
			return wrong(w, fmt.Sprintf("%q is no number", w), nil)
		}
	}
	return nil
}

// check finds names that the topology does not have.
func (p *Plan) check() error {
	within := func(line int, word string, n, least, most int) error {
		if n < least || n > most {
			return &Error{Line: line, Word: word, Why: fmt.Sprintf("%s=%d is not within %d and %d", word, n, least, most)}
		}
		return nil
	}
	for _, err := range []error{
		within(1, "members", p.Members, 1, MaxMembers), within(1, "proxies", p.Proxies, 0, MaxProxies),
		within(1, "clients", p.Clients, 1, MaxClients), within(1, "steps", len(p.Steps), 0, MaxSteps),
	} {
		if err != nil {
			return err
		}
	}
	if p.Members%2 == 0 {
		return &Error{Line: 1, Word: "members", Why: fmt.Sprintf("members=%d: an even number of members is no cluster of ours", p.Members)}
	}
	for i, s := range p.Steps {
		for _, name := range []string{s.Who, s.Via, s.Target, s.Other} {
			for part := range strings.SplitSeq(name, "-") {
				if err := p.knows(part); err != nil {
					return &Error{Line: i + 1, Word: part, Why: fmt.Sprintf("step %d: %v", i+1, err)}
				}
			}
		}
		if s.Hold != NotHeld && strings.HasPrefix(s.Via, "m") {
			return &Error{Line: i + 1, Word: "hold=", Why: fmt.Sprintf("step %d: only between a proxy and its member can an RPC be held", i+1)}
		}
		if s.Verb == Weights && len(s.N) != p.Proxies {
			return &Error{Line: i + 1, Word: "weights", Why: fmt.Sprintf("step %d: %d weights for %d proxies", i+1, len(s.N), p.Proxies)}
		}
	}
	return nil
}

func (p *Plan) knows(name string) error {
	for _, kind := range []struct {
		pattern *regexp.Regexp
		n       int
		what    string
	}{{clientName, p.Clients, "clients"}, {proxyName, p.Proxies, "proxies"}, {memberName, p.Members, "members"}} {
		if !kind.pattern.MatchString(name) {
			continue
		}
		if n, err := count(name[1:]); err != nil || n > kind.n {
			return fmt.Errorf("there is no %s: the plan has %d %s", name, kind.n, kind.what)
		}
	}
	return nil
}

func wrong(word, why string, right []string) *Error {
	return &Error{Word: word, Why: why, Near: nearest(word, right)}
}

func parseStep(words []string) (Step, error) {
	s := Step{Verb: Verb(words[0])}
	f, ok := forms[s.Verb]
	if !ok {
		return s, wrong(words[0], fmt.Sprintf("%q is nothing a step can do", words[0]), verbs())
	}
	rest := words[1:]
	for _, w := range f.words {
		if len(rest) == 0 {
			return s, &Error{Why: fmt.Sprintf("%s: the %s is missing", s.Verb, w.name)}
		}
		if err := w.set(&s, rest[0]); err != nil {
			return s, &Error{Word: rest[0], Why: fmt.Sprintf("%s: %v", s.Verb, err)}
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
		return s, wrong(rest[0], fmt.Sprintf("%q stands behind the transaction's end", rest[0]), []string{";", "else"})
	}
	s.Txn = t
	return s, nil
}

func parseOption(s *Step, options []option, text string) error {
	name, value, ok := strings.Cut(text, "=")
	if ok {
		name += "="
	}
	var names []string
	for _, o := range options {
		if o.name == name {
			if err := o.set(s, value); err != nil {
				return &Error{Word: text, Why: fmt.Sprintf("%s: %v", s.Verb, err)}
			}
			return nil
		}
		names = append(names, o.name)
	}
	if s.Verb == Txn {
		names = append(names, "if", "then")
	}
	return wrong(text, fmt.Sprintf("%s cannot take %q", s.Verb, text), names)
}

// maxDepth is how deep transactions may lie in one another.
const maxDepth = 3

// parseBranches reads "if … then … else …" and returns what stands behind it.
func parseBranches(words []string, depth int) (*Branches, []string, error) {
	if depth > maxDepth {
		return nil, nil, &Error{Word: "(", Why: fmt.Sprintf("a transaction lies more than %d deep", maxDepth)}
	}
	t := &Branches{}
	if len(words) > 0 && words[0] == "if" {
		words = words[1:]
		for {
			if len(words) < 2 {
				return nil, nil, &Error{Why: "txn: a compare is keys, then present or absent"}
			}
			c := Compare{Keys: words[0], Absent: words[1] == "absent"}
			if err := checkKeys(c.Keys); err != nil {
				return nil, nil, &Error{Word: words[0], Why: "txn: " + err.Error()}
			}
			if words[1] != "present" && words[1] != "absent" {
				return nil, nil, wrong(words[1], fmt.Sprintf("txn: %q compares nothing", words[1]), []string{"present", "absent"})
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
		return nil, nil, wrong(got, "txn: then is missing", []string{"then"})
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
				return nil, nil, wrong(words[0], fmt.Sprintf("txn: %q where ; was due", words[0]), []string{";", "else"})
			}
			if words = words[1:]; end() {
				return nil, nil, &Error{Why: "txn: nothing behind ;"}
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
				return nil, nil, &Error{Why: "txn: ) is missing"}
			}
			ops, words = append(ops, o), words[1:]
			continue
		case Read, Put, Delete:
		default:
			return nil, nil, wrong(words[0], fmt.Sprintf("txn: %q is nothing a transaction can do", words[0]), []string{"read", "put", "delete", "("})
		}
		if words = words[1:]; end() {
			return nil, nil, &Error{Why: fmt.Sprintf("txn: %s of what?", o.Verb)}
		}
		// The operation is read as the step of the same verb, whose words and options behind the keys are the same.
		s := Step{Verb: o.Verb}
		f := forms[o.Verb]
		if err := f.words[2].set(&s, words[0]); err != nil {
			return nil, nil, &Error{Word: words[0], Why: "txn: " + err.Error()}
		}
		options := slices.DeleteFunc(slices.Clone(f.options), func(o option) bool { return o.name == "hold=" })
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

func verbs() []string {
	var names []string
	for v := range forms {
		names = append(names, string(v))
	}
	slices.Sort(names)
	return names
}

// nearest is the word of right that takes the fewest changes from word, "" where that is more than half of it.
func nearest(word string, right []string) string {
	best, cost := "", len(word)/2+1
	for _, r := range right {
		if d := distance(word, r); d < cost {
			best, cost = r, d
		}
	}
	return best
}

// distance is Levenshtein's, with neighbours swapped counted once.
func distance(a, b string) int {
	before, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next := make([]int, len(b)+1)
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
