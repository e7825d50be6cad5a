package plan

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// word is one word of a step's line: how it is written, read and checked.
type word struct {
	name string // for errors: "client"
	get  func(*Step) string
	set  func(*Step, string) error
}

// option is a word that may be missing, at any place behind the words that may not.
type option struct {
	name string // "limit=", or a flag: "count"
	get  func(*Step) string
	set  func(*Step, string) error // what stands behind "=", or ""
}

type form struct {
	words   []word
	options []option
}

var (
	clientName   = regexp.MustCompile(`^g[1-9]\d*$`)
	doorName     = regexp.MustCompile(`^([pm][1-9]\d*|vip)$`)
	proxyName    = regexp.MustCompile(`^p[1-9]\d*$`)
	memberName   = regexp.MustCompile(`^m[1-9]\d*$`)
	nodeName     = regexp.MustCompile(`^[pm][1-9]\d*$`)
	linkName     = regexp.MustCompile(`^(m[1-9]\d*|[pg][1-9]\d*-(m[1-9]\d*|vip))$`)
	leaseName    = regexp.MustCompile(`^l[1-9]\d*$`)
	ended        = regexp.MustCompile(`^(l[1-9]\d*|s[1-9]\d*/[a-z])$`)
	holdName     = regexp.MustCompile(`^h[1-9]\d*$`)
	serviceName  = regexp.MustCompile(`^s[1-9]\d*$`)
	instanceName = regexp.MustCompile(`^s[1-9]\d*/[a-z]$`)
	keysName     = regexp.MustCompile(`^(k[1-9]?\d*|s[1-9]\d*/[a-z]?|/)?(\*|\.\.(k[1-9]\d*|s[1-9]\d*/[a-z]?)?)?$`)
	sortName     = regexp.MustCompile(`^(key:down|(mod|create|version|value):(up|down))$`)
)

// named is a word that must match a pattern.
func named(name string, pattern *regexp.Regexp, example string, field func(*Step) *string) word {
	return word{
		name: name,
		get:  func(s *Step) string { return *field(s) },
		set: func(s *Step, text string) error {
			if !pattern.MatchString(text) {
				return fmt.Errorf("%q is no %s: say %s", text, name, example)
			}
			*field(s) = text
			return nil
		},
	}
}

func checkKeys(text string) error {
	if !keysName.MatchString(text) || text == "" || text == "/" {
		return fmt.Errorf("%q names no keys: say one of k1, k*, k1.., k1..k3, s1/a, s1/*, /*, .. of this plan", text)
	}
	_, _, err := Bounds(text)
	return err
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

// shapeOptions are the options of a read, here and inside a transaction.
func shapeOptions(of func(*Step) *Shape) []option {
	flag := func(name string, field func(*Shape) *bool) option {
		return option{name,
			func(s *Step) string {
				if *field(of(s)) {
					return name
				}
				return ""
			},
			func(s *Step, _ string) error { *field(of(s)) = true; return nil }}
	}
	return []option{
		flag("linearizable", func(s *Shape) *bool { return &s.Linearizable }),
		flag("count", func(s *Shape) *bool { return &s.Count }),
		flag("keys-only", func(s *Shape) *bool { return &s.KeysOnly }),
		{"limit=",
			func(s *Step) string { return Shape{Limit: of(s).Limit}.String() },
			func(s *Step, text string) (err error) { of(s).Limit, err = count(text); return err }},
		{"sort=",
			func(s *Step) string { return Shape{Sort: of(s).Sort}.String() },
			func(s *Step, text string) error {
				if !sortName.MatchString(text) {
					return fmt.Errorf("%q is no order: say mod, create, version or value, then :up or :down, or key:down", text)
				}
				of(s).Sort = text
				return nil
			}},
		{"rev=",
			func(s *Step) string { return Shape{Past: of(s).Past, Ago: of(s).Ago}.String() },
			func(s *Step, text string) (err error) {
				of(s).Past = true
				of(s).Ago, err = parseAgo(text)
				return err
			}},
	}
}

// forms is the grammar: for each verb the words it needs, in order, and those it may have. It is written once and only read.
var forms = makeForms()

func makeForms() map[Verb]form {
	client := named("client", clientName, "g1", func(s *Step) *string { return &s.Who })
	door := named("door", doorName, "p1, m1 or vip", func(s *Step) *string { return &s.Via })
	proxyDoor := named("proxy", proxyName, "p1", func(s *Step) *string { return &s.Via })
	lease := named("lease", leaseName, "l1", func(s *Step) *string { return &s.Lease })
	held := named("hold", holdName, "h1", func(s *Step) *string { return &s.Name })
	service := named("service", serviceName, "s1", func(s *Step) *string { return &s.Keys })
	target := func(name string, pattern *regexp.Regexp, example string) word {
		return named(name, pattern, example, func(s *Step) *string { return &s.Target })
	}
	instance := target("instance", instanceName, "s1/a")
	other := func(name string, pattern *regexp.Regexp, example string) word {
		return named(name, pattern, example, func(s *Step) *string { return &s.Other })
	}
	keys := word{"keys", func(s *Step) string { return s.Keys }, func(s *Step, text string) error {
		s.Keys = text
		return checkKeys(text)
	}}
	key := word{"key", func(s *Step) string { return s.Keys }, func(s *Step, text string) error {
		s.Keys = text
		if err := checkKeys(text); err != nil {
			return err
		}
		if !Single(text) {
			return fmt.Errorf("%q is more than one key", text)
		}
		return nil
	}}
	hold := option{"hold=",
		func(s *Step) string {
			if s.Hold == NotHeld {
				return ""
			}
			return "hold=" + string(s.Hold) + ":" + s.Name
		},
		func(s *Step, text string) error {
			point, name, ok := strings.Cut(text, ":")
			if !ok || (Point(point) != AtRequest && Point(point) != AtAnswer) || !holdName.MatchString(name) {
				return fmt.Errorf("%q says not what to hold: say request:h1 or answer:h1", text)
			}
			s.Hold, s.Name = Point(point), name
			return nil
		}}
	withLease := option{"lease=",
		func(s *Step) string {
			if s.Lease == "" {
				return ""
			}
			return "lease=" + s.Lease
		},
		func(s *Step, text string) error { return lease.set(s, text) }}
	back := option{"rev=",
		func(s *Step) string { return "rev=" + ago(s.Back) },
		func(s *Step, text string) (err error) { s.Back, err = parseAgo(text); return err }}
	weights := word{"weights",
		func(s *Step) string {
			var w []string
			for _, n := range s.N {
				w = append(w, strconv.Itoa(n))
			}
			return strings.Join(w, ",")
		},
		func(s *Step, text string) error {
			s.N = nil
			for w := range strings.SplitSeq(text, ",") {
				n, err := count(w)
				if err != nil {
					return fmt.Errorf("%q is no list of weights: say 1,0", text)
				}
				s.N = append(s.N, n)
			}
			return nil
		}}
	delay := other("delay in milliseconds", regexp.MustCompile(`^[1-9]\d{0,3}$`), "50")

	w := func(words ...word) form { return form{words: words} }
	o := func(f form, options ...option) form { f.options = append(f.options, options...); return f }
	shape := shapeOptions(func(s *Step) *Shape { return &s.Shape })
	return map[Verb]form{
		Read:   o(o(w(client, door, keys), shape...), hold),
		Put:    o(w(client, door, key), withLease, hold),
		Delete: o(w(client, door, keys), hold),
		Txn:    o(w(client, door), hold),

		Grant:     w(door, lease),
		Revoke:    w(door, lease),
		Keepalive: w(door, lease),
		Expire:    w(named("lease or instance", ended, "l1 or s1/a", func(s *Step) *string { return &s.Lease })),
		Compact:   o(w(door), back),

		Register:   w(instance, door),
		Deregister: w(instance, door),
		Crash:      w(instance),
		Restart:    w(instance, door),
		Replace:    w(instance, other("instance", instanceName, "s1/b"), door),
		Resolve:    w(client, door, service),
		List:       w(client, door),
		Call:       w(client, door, service),

		Release: w(held),
		Fail:    w(held),
		Flood:   w(client, proxyDoor),

		Cut:    w(target("link", linkName, "m3, p1-m1 or g1-vip")),
		Mend:   w(target("link", linkName, "m3, p1-m1 or g1-vip")),
		Delay:  w(target("link", linkName, "m3, p1-m1 or g1-vip"), delay),
		Lead:   w(target("member", memberName, "m1")),
		Reboot: w(target("node", nodeName, "m1 or p1")),
		Pin:    w(target("proxy", proxyName, "p1"), other("member", memberName, "m1")),

		Weights:     w(weights),
		Drain:       w(target("proxy", proxyName, "p1")),
		Reconnect:   w(target("client", clientName, "g1")),
		ExpireToken: w(target("client", clientName, "g1")),
		Permit:      w(target("client", clientName, "g1")),
		Forbid:      w(target("client", clientName, "g1")),
	}
}
