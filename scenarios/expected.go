package scenarios

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"ghostroute/harness/gateway"
	"ghostroute/harness/verdict"
)

// Readings are the two ways in which every cell is read.
var Readings = []gateway.Kind{gateway.EachRequest, gateway.GoMicro}

// Verdicts are labels ("stale ghost") by scenario, fix and reading; "n/a: reason" where the three make no sense
// together.
type Verdicts map[Key]string

// Key names one reading of one cell.
type Key struct {
	Scenario, Fix string
	Reading       gateway.Kind
}

// NotApplicable says why a reading of a cell makes no sense, "" where it does.
func NotApplicable(s Scenario, f Fix, reading gateway.Kind) string {
	if s.NA != nil {
		if why := s.NA(f); why != "" {
			return why
		}
	}
	if why := s.Where.lacks(Topology(s, f, reading)); why != "" {
		return why
	}
	switch top := Topology(s, f, reading); {
	case s.Ask != nil && top.Retry > 0:
		return "it is a cure of requests, and nothing is called here"
	case s.Only == gateway.EachRequest && reading != s.Only:
		return "go-micro's gateway never reads this way"
	case s.Only == gateway.GoMicro && reading != s.Only:
		return "it is about what go-micro's gateway remembers"
	}
	return ""
}

const verdictsHeader = `# What every scenario comes to against every fix, found by running them: compared on every
# run of TestMatrix, rewritten by "make verdicts". Each line is a fix and its two readings:
#
#   each-request  by gateways that resolve on every request: is the proxy cured?
#   go-micro      by go-micro's own gateway, with its cache and its watch: are the users cured?
#
#   fresh   no answer that began after the change was acknowledged disagreed with truth
#   heals   some did, and every gateway agreed before patience ended
#   stale   some gateway disagreed to the end, and provenance says why
#   ghost   an endpoint was answered that truth no longer has
#   hidden  an endpoint that truth has was not answered
#   leak    an endpoint was answered to a user who may not read it
`

// Write writes the verdicts as the table they are read from.
func (v Verdicts) Write(w io.Writer) error {
	if _, err := io.WriteString(w, verdictsHeader); err != nil {
		return err
	}
	for _, s := range All() {
		fmt.Fprintf(w, "\n[%s]  %s\n# %s\n# Seen: %s\n", s.Name, s.Title, s.Text, s.Seen)
		for _, f := range Fixes() {
			proxies, users := v.cell(s, f, gateway.EachRequest), v.cell(s, f, gateway.GoMicro)
			if proxies == "" || users == "" {
				continue // it has not been tried
			}
			if _, err := fmt.Fprintf(w, "%-18s%-15s%s\n", f.Name, proxies, users); err != nil {
				return err
			}
		}
	}
	return nil
}

func (v Verdicts) cell(s Scenario, f Fix, r gateway.Kind) string {
	if NotApplicable(s, f, r) != "" {
		return "n/a"
	}
	return v[Key{s.Name, f.Name, r}]
}

// ReadVerdicts reads what Write wrote. A line that cannot be is an error that names it.
func ReadVerdicts(r io.Reader) (Verdicts, error) {
	v, scenario := Verdicts{}, ""
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		switch {
		case line == "" || line[0] == '#':
			continue
		case line[0] == '[':
			name, _, ok := strings.Cut(line[1:], "]")
			if _, err := Named(name); !ok || err != nil {
				return nil, fmt.Errorf("line %d: %q names no scenario", n, line)
			}
			scenario = name
			continue
		}
		words := strings.Fields(line)
		if _, err := FixNamed(words[0]); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		labels, err := labels(words[1:])
		if err != nil || scenario == "" {
			return nil, fmt.Errorf("line %d: %q is not a fix and two verdicts of a scenario", n, line)
		}
		for i, reading := range Readings {
			v[Key{scenario, words[0], reading}] = labels[i]
		}
	}
	return v, lines.Err()
}

// labels groups words into two labels: an outcome, and a symptom if one follows.
func labels(words []string) ([2]string, error) {
	var all []string
	for _, w := range words {
		switch w {
		case string(verdict.Ghost), string(verdict.Hidden), string(verdict.Leak):
			if len(all) == 0 {
				return [2]string{}, fmt.Errorf("symptom %q of nothing", w)
			}
			all[len(all)-1] += " " + w
		case string(verdict.Fresh), string(verdict.Heals), string(verdict.Stale), string(verdict.Unknown), "n/a":
			all = append(all, w)
		default:
			return [2]string{}, fmt.Errorf("no such verdict: %q", w)
		}
	}
	if len(all) != 2 {
		return [2]string{}, fmt.Errorf("%d verdicts", len(all))
	}
	return [2]string(all), nil
}

// Moved is the sentence on what it would mean that a cell is no longer what it was; whose says what moved.
func Moved(s Scenario, whose, was, is string) string {
	rank := func(label string) int {
		outcome, _, _ := strings.Cut(label, " ")
		return map[string]int{"fresh": 0, "heals": 1, "stale": 2}[outcome]
	}
	switch {
	case strings.HasPrefix(is, "unknown"):
		return "nothing is proven any more: a premise of the trial failed, see the verdict; " +
			"that is a fault of the trial or of the machine before it is one of etcd"
	case was == "":
		return "this cell has no expected verdict yet: if the evidence convinces you, run make verdicts"
	case rank(is) < rank(was):
		return fmt.Sprintf("news: %s now copes when %s; find the change that did it, then run make verdicts",
			whose, s.Title)
	case rank(is) > rank(was):
		return fmt.Sprintf("a regression: %s no longer copes when %s", whose, s.Title)
	}
	return fmt.Sprintf("%s fails in another way when %s: read the evidence before believing either", whose, s.Title)
}
