package plan

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// word is one word of a step's line: how it is written, read, checked and drawn.
type word struct {
	name string // for errors: "client"
	get  func(*Step) string
	set  func(*Step, string) error
	draw func(*generator) string
}

// option is a word that may be missing, at any place behind the words that may not.
type option struct {
	name string // "limit=", or a flag: "count"
	get  func(*Step) string
	set  func(*Step, string) error // what stands behind "=", or ""
}

// Patterns of names that more than one word has.
const (
	memberName   = `m[1-9]\d*`
	holdName     = `h[1-9]\d*`
	instanceName = `s[1-9]\d*/[a-z]`
)

// whole matches a whole word.
func whole(pattern string) *regexp.Regexp { return regexp.MustCompile("^(" + pattern + ")$") }

var (
	serviceName = whole(`s[1-9]\d*`)
	keysName    = whole(`(k[1-9]?\d*|s[1-9]\d*/[a-z]?|/)?(\*|\.\.(k[1-9]\d*|s[1-9]\d*/[a-z]?)?)?`)
	sortName    = whole(`key:down|(mod|create|version|value):(up|down)`)
	held        = whole(holdName)
)

// named is a word that must match a pattern.
func named(name, pattern, example string, field func(*Step) *string, draw func(*generator) string) word {
	right := whole(pattern)
	return word{
		name: name,
		get:  func(s *Step) string { return *field(s) },
		set: func(s *Step, text string) error {
			if !right.MatchString(text) {
				return fmt.Errorf("%q is no %s: say %s", text, name, example)
			}
			*field(s) = text
			return nil
		},
		draw: draw,
	}
}

// keysWord is any range, watchedWord too, keyWord a range of one key.
var (
	keysWord    = word{"keys", func(s *Step) string { return s.Keys }, setKeys, (*generator).keys}
	watchedWord = word{"keys", func(s *Step) string { return s.Keys }, setKeys, (*generator).watched}
	keyWord     = word{"key", func(s *Step) string { return s.Keys }, func(s *Step, text string) error {
		if err := setKeys(s, text); err != nil {
			return err
		}
		if !Single(text) {
			return fmt.Errorf("%q is more than one key", text)
		}
		return nil
	}, (*generator).key}
)

func setKeys(s *Step, text string) error {
	s.Keys = text
	return checkKeys(text)
}

func checkKeys(text string) error {
	if !keysName.MatchString(text) || text == "" || text == "/" {
		return fmt.Errorf("%q names no keys: say one of k1, k*, k1.., k1..k3, s1/a, s1/*, /*, .. of this plan", text)
	}
	_, _, err := Bounds(text)
	return err
}

var weightsWord = word{"weights", weightsText, func(s *Step, text string) error {
	s.N = nil
	for w := range strings.SplitSeq(text, ",") {
		n, err := count(w)
		if err != nil {
			return fmt.Errorf("%q is no list of weights: say 1,0", text)
		}
		s.N = append(s.N, n)
	}
	return nil
}, (*generator).weights}

func weightsText(s *Step) string {
	var w []string
	for _, n := range s.N {
		w = append(w, strconv.Itoa(n))
	}
	return strings.Join(w, ",")
}

var hold = option{"hold=",
	func(s *Step) string { return unless(s.Hold == NotHeld, "hold="+string(s.Hold)+":"+s.Name) },
	func(s *Step, text string) error {
		point, name, ok := strings.Cut(text, ":")
		if !ok || (Point(point) != AtRequest && Point(point) != AtAnswer) || !held.MatchString(name) {
			return fmt.Errorf("%q does not say what to hold: say request:h1 or answer:h1", text)
		}
		s.Hold, s.Name = Point(point), name
		return nil
	}}

func leaseOption(lease word) option {
	return option{"lease=", func(s *Step) string { return unless(s.Lease == "", "lease="+s.Lease) }, lease.set}
}

var revisionsBack = option{"rev=",
	func(s *Step) string { return "rev=" + ago(s.Back) },
	func(s *Step, text string) (err error) { s.Back, err = parseAgo(text); return err }}

// shapes are the options of a read.
var shapes = []option{
	flag("linearizable", func(s *Step) *bool { return &s.Linearizable }),
	flag("count", func(s *Step) *bool { return &s.Count }),
	flag("keys-only", func(s *Step) *bool { return &s.KeysOnly }),
	{"limit=",
		func(s *Step) string { return unless(s.Limit == 0, "limit="+strconv.Itoa(s.Limit)) },
		func(s *Step, text string) (err error) { s.Limit, err = count(text); return err }},
	{"sort=",
		func(s *Step) string { return unless(s.Sort == "", "sort="+s.Sort) },
		func(s *Step, text string) error {
			if !sortName.MatchString(text) {
				return fmt.Errorf("%q is no order: say mod, create, version or value, then :up or :down, or key:down", text)
			}
			s.Sort = text
			return nil
		}},
	atRevision,
}

var atRevision = option{"rev=",
	func(s *Step) string { return unless(!s.Past, "rev="+ago(s.Ago)) },
	func(s *Step, text string) (err error) {
		s.Past = true
		s.Ago, err = parseAgo(text)
		return err
	}}

// watchOptions are the options of a watch.
var watchOptions = []option{
	atRevision,
	flag("leader", func(s *Step) *bool { return &s.Leader }),
	flag("idle", func(s *Step) *bool { return &s.Idle }),
}

func flag(name string, field func(*Step) *bool) option {
	return option{name,
		func(s *Step) string { return unless(!*field(s), name) },
		func(s *Step, _ string) error { *field(s) = true; return nil }}
}

func unless(absent bool, text string) string {
	if absent {
		return ""
	}
	return text
}

func count(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%q is no number from 0 up", text)
	}
	return n, nil
}

func parseAgo(text string) (int, error) {
	if text == "now" {
		return 0, nil
	}
	if n, ok := strings.CutPrefix(text, "now-"); ok {
		return count(n)
	}
	return 0, fmt.Errorf("%q is no revision: say now or now-2", text)
}
