package plan

import (
	"maps"
	"slices"
	"strings"
)

// Verb says what a step does.
type Verb string

// The vocabulary. "vip" stands for the proxy to which the balancer pinned the client.
const (
	Read   Verb = "read"   // a Range, of any shape, through a proxy or on a member
	Put    Verb = "put"    // the value is the number of the step, so that every put can be told from every other
	Delete Verb = "delete" // DeleteRange of one key, a prefix, from a key on …
	Txn    Verb = "txn"    // compares, ranges, puts, deletes, transactions inside transactions

	Grant     Verb = "grant"     // a lease
	Revoke    Verb = "revoke"    // a lease, with the keys attached to it
	Keepalive Verb = "keepalive" // a lease, once
	Expire    Verb = "expire"    // a lease's time is over
	Compact   Verb = "compact"   // forget history up to a revision

	Register   Verb = "register"   // an instance registers itself as go-micro does, or registers again
	Deregister Verb = "deregister" // an instance takes itself out
	Crash      Verb = "crash"      // an instance's process ends without a word; its lease runs on
	Restart    Verb = "restart"    // an instance crashes, comes back with the same id and registers
	Replace    Verb = "replace"    // an instance crashes, another comes in its place and registers
	Resolve    Verb = "resolve"    // a gateway reads one service
	List       Verb = "list"       // a gateway reads the list of services
	Call       Verb = "call"       // a gateway passes a request on

	Release Verb = "release" // an RPC that an earlier step holds goes on
	Fail    Verb = "fail"    // an RPC that an earlier step holds is lost: its client gets an error and cannot know
	Flood   Verb = "flood"   // read more other ranges through a proxy than its cache holds

	Cut       Verb = "cut"       // a member from its peers, or a link
	Blackhole Verb = "blackhole" // a proxy's link swallows what is sent over it, and nothing says so: a silent cut
	Mend      Verb = "mend"      // what was cut, delayed or made a black hole
	Delay     Verb = "delay"     // a link
	Lead      Verb = "lead"      // a member takes the lead
	Reboot    Verb = "reboot"    // a member or a proxy stops and starts
	Narrow    Verb = "narrow"    // a proxy asks this member only

	Weights     Verb = "weights"      // the balancer's
	Drain       Verb = "drain"        // the balancer closes a proxy's connections
	Reconnect   Verb = "reconnect"    // a client closes its connection and dials again
	ExpireToken Verb = "expire-token" // a client's auth token is no longer good
	Permit      Verb = "permit"       // a client may read and write everything
	Forbid      Verb = "forbid"       // a client may nothing

	Watch   Verb = "watch"   // a client watches a range, from now or from a revision on
	Unwatch Verb = "unwatch" // a watch is given up
	Follow  Verb = "follow"  // a client lists a range, and watches it from the next revision on, as an informer does
)

// Class is what a verb acts on.
type Class int

const (
	RPC      Class = iota // etcd's API: one RPC
	Registry              // etcd, by way of go-micro's registry
	Held                  // an RPC that is held
	Fault                 // members, proxies and links
	Balancer              // the balancer and the clients' connections to it
	Identity              // users, roles and tokens
	Open                  // what a client holds open
)

// verb is all that this package knows of a verb.
type verb struct {
	class   Class
	weight  int                                 // how often it is drawn; 0 is only where it is asked for by name
	watched int                                 // how often it is drawn where plans have watches; 0 is never
	words   []word                              // that it needs, in order
	options []option                            // that it may have
	draw    func(*generator, *Step)             // sets what no word says; nil where the words say it all
	asks    func(Step) []Op                     // the ranges that it has a proxy or a member answer
	takes   func(x *Preconditions, s Step) bool // whether it makes sense now; if so it follows the step. nil is always
}

// verbs is the one table of verbs. It is written once and only read.
var verbs = makeVerbs()

func makeVerbs() map[Verb]verb {
	var (
		client   = named("client", `g[1-9]\d*`, "g1", func(s *Step) *string { return &s.Client }, (*generator).client)
		endpoint = named("endpoint", `[pm][1-9]\d*|vip`, "p1, m1 or vip", func(s *Step) *string { return &s.Via },
			(*generator).endpoint)
		viaProxy = named("proxy", `p[1-9]\d*`, "p1", func(s *Step) *string { return &s.Via }, (*generator).proxy)
		lease    = named("lease", `l[1-9]\d*`, "l1", func(s *Step) *string { return &s.Lease }, (*generator).lease)
		held     = named("hold", holdName, "h1", func(s *Step) *string { return &s.Name }, (*generator).hold)
		watch    = named("watch", `w[1-9]\d*`, "w1", func(s *Step) *string { return &s.Name }, (*generator).watch)
		node     = named("node", `[pm][1-9]\d*`, "p1 or m1", func(s *Step) *string { return &s.Via }, (*generator).holder)
		service  = named("service", `s[1-9]\d*`, "s1", func(s *Step) *string { return &s.Keys }, (*generator).service)
		of       = func(name, pattern, example string, draw func(*generator) string) word {
			return named(name, pattern, example, func(s *Step) *string { return &s.Target }, draw)
		}
		to = func(name, pattern, example string, draw func(*generator) string) word {
			return named(name, pattern, example, func(s *Step) *string { return &s.Other }, draw)
		}
		instance = of("instance", instanceName, "s1/a", (*generator).instance)
		link     = of("link", `m[1-9]\d*|[pg][1-9]\d*-(m[1-9]\d*|vip)`, "m3, p1-m1 or g1-vip", (*generator).link)
		member   = of("member", memberName, "m1", (*generator).member)
		proxy    = of("proxy", `p[1-9]\d*`, "p1", (*generator).proxy)
		user     = of("client", `g[1-9]\d*`, "g1", (*generator).client)

		words   = func(list ...word) []word { return list }
		options = func(list ...option) []option { return list }
		// go-micro reads an instance's own key before it registers it.
		key   = func(s Step) []Op { return []Op{{Verb: Read, Keys: s.Target}} }
		nodes = func(s Step) []Op { return []Op{{Verb: Read, Keys: s.Keys + "/*"}} }
	)
	return map[Verb]verb{
		Read: {weight: 14, watched: 2, words: words(client, endpoint, keysWord), options: append(slices.Clip(shapes), hold),
			draw: func(g *generator, s *Step) { s.Shape = g.shape() },
			asks: func(s Step) []Op { return []Op{{Verb: Read, Keys: s.Keys, Shape: s.Shape}} }},
		Put: {weight: 7, watched: 8, words: words(client, endpoint, keyWord), options: options(leaseOption(lease), hold),
			draw:  func(g *generator, s *Step) { s.Lease = g.maybeLease() },
			takes: func(x *Preconditions, s Step) bool { return s.Lease == "" || x.leases[s.Lease] }},
		Delete: {weight: 7, watched: 3, words: words(client, endpoint, keysWord), options: options(hold)},
		Txn: {weight: 5, watched: 2, words: words(client, endpoint), options: options(hold),
			draw: func(g *generator, s *Step) { s.Txn = g.branches(0) },
			asks: func(s Step) []Op { return s.Txn.reads() }},

		Grant: {weight: 3, watched: 1, words: words(endpoint, lease),
			takes: func(x *Preconditions, s Step) bool { return add(x.leases, s.Lease) }},
		Revoke: {weight: 3, watched: 1, words: words(endpoint, lease),
			takes: func(x *Preconditions, s Step) bool { return remove(x.leases, s.Lease) }},
		Keepalive: {weight: 1, words: words(endpoint, lease),
			takes: func(x *Preconditions, s Step) bool {
				return x.leases[s.Lease] && !(x.plan.Auth && strings.HasPrefix(s.Via, "p"))
			}},
		Compact: {weight: 1, watched: 6, words: words(endpoint), options: options(revisionsBack),
			draw: func(g *generator, s *Step) { s.Back = g.from(0, 3) }},
		Expire: {class: Fault, weight: 3, watched: 1,
			words: words(named("lease or instance", `l[1-9]\d*|`+instanceName, "l1 or s1/a",
				func(s *Step) *string { return &s.Lease }, (*generator).leaseOrInstance)),
			takes: func(x *Preconditions, s Step) bool {
				return strings.Contains(s.Lease, "/") || remove(x.leases, s.Lease)
			}},
		Flood: {class: Fault, words: words(client, viaProxy)},

		Register: {class: Registry, weight: 5, words: words(instance, endpoint), asks: key,
			takes: func(x *Preconditions, s Step) bool { x.running[s.Target] = true; return true }},
		Deregister: {class: Registry, weight: 3, words: words(instance, endpoint),
			takes: func(x *Preconditions, s Step) bool { return remove(x.running, s.Target) }},
		Crash: {class: Registry, weight: 1, words: words(instance),
			takes: func(x *Preconditions, s Step) bool { return remove(x.running, s.Target) }},
		Restart: {class: Registry, weight: 1, words: words(instance, endpoint), asks: key,
			takes: func(x *Preconditions, s Step) bool { return x.running[s.Target] }},
		Replace: {class: Registry, weight: 1, asks: func(s Step) []Op { return []Op{{Verb: Read, Keys: s.Other}} },
			words: words(instance, to("instance", instanceName, "s1/b", (*generator).instance), endpoint),
			takes: func(x *Preconditions, s Step) bool {
				return !x.running[s.Other] && remove(x.running, s.Target) && add(x.running, s.Other)
			}},
		Resolve: {class: Registry, weight: 5, words: words(client, endpoint, service), asks: nodes},
		List: {class: Registry, weight: 1, words: words(client, endpoint),
			asks: func(Step) []Op { return []Op{{Verb: Read, Keys: "/*"}} }},
		Call: {class: Registry, weight: 1, words: words(client, endpoint, service), asks: nodes},

		Release: {class: Held, weight: 5, watched: 2, words: words(held),
			takes: func(x *Preconditions, s Step) bool { return remove(x.held, s.Name) }},
		Fail: {class: Held, weight: 3, watched: 1, words: words(held),
			takes: func(x *Preconditions, s Step) bool { return remove(x.held, s.Name) }},

		Cut: {class: Fault, weight: 1, watched: 2, words: words(link),
			takes: func(x *Preconditions, s Step) bool {
				return (s.Target[0] != 'm' || x.quorumWithout(s.Target)) && add(x.broken, s.Target)
			}},
		Blackhole: {class: Fault, weight: 1, watched: 1,
			words: words(of("link", `p[1-9]\d*-m[1-9]\d*`, "p1-m1",
				func(g *generator) string { return g.proxy() + "-" + g.member() })),
			takes: func(x *Preconditions, s Step) bool { return add(x.broken, s.Target) }},
		Delay: {class: Fault, weight: 1,
			words: words(link, to("delay in milliseconds", `[1-9]\d{0,3}`, "50", (*generator).delay)),
			takes: func(x *Preconditions, s Step) bool { return add(x.broken, s.Target) }},
		Mend: {class: Fault, weight: 1, watched: 2, words: words(link),
			takes: func(x *Preconditions, s Step) bool { return remove(x.broken, s.Target) }},
		Lead: {class: Fault, weight: 1, watched: 1, words: words(member),
			takes: func(x *Preconditions, s Step) bool { return !x.broken[s.Target] }},
		Reboot: {class: Fault, weight: 1, watched: 1, words: words(of("node", `[pm][1-9]\d*`, "m1 or p1", (*generator).node)),
			takes: (*Preconditions).reboot},
		Narrow: {class: Fault, weight: 1, watched: 1,
			words: words(proxy, to("member", memberName, "m1", (*generator).member))},

		Weights:   {class: Balancer, weight: 1, words: words(weightsWord)},
		Drain:     {class: Balancer, weight: 1, words: words(proxy)},
		Reconnect: {class: Balancer, weight: 1, words: words(user)},

		Permit: {class: Identity, weight: 1, watched: 1, words: words(user),
			takes: func(x *Preconditions, s Step) bool { return x.plan.Auth && remove(x.forbidden, s.Target) }},
		Forbid: {class: Identity, weight: 1, watched: 2, words: words(user),
			takes: func(x *Preconditions, s Step) bool { return x.plan.Auth && add(x.forbidden, s.Target) }},
		ExpireToken: {class: Identity, weight: 1, watched: 1, words: words(user),
			takes: func(x *Preconditions, s Step) bool { return x.plan.Auth && len(x.held) == 0 }},

		// A client's VIP has connections that come and go with the plan; a watch has one of its own.
		Watch: {class: Open, watched: 12, words: words(client, node, watch, watchedWord), options: watchOptions,
			draw:  (*generator).watching,
			takes: func(x *Preconditions, s Step) bool { return add(x.watches, s.Name) }},
		Unwatch: {class: Open, watched: 2, words: words(watch),
			takes: func(x *Preconditions, s Step) bool { return remove(x.watches, s.Name) }},
		Follow: {class: Open, watched: 9, words: words(client, node, watch, watchedWord),
			asks:  func(s Step) []Op { return []Op{{Verb: Read, Keys: s.Keys}} },
			takes: func(x *Preconditions, s Step) bool { return add(x.watches, s.Name) }},
	}
}

// Class is what the verb acts on.
func (v Verb) Class() Class { return verbs[v].class }

// Holdable says whether the verb's RPC may be held.
func (v Verb) Holdable() bool {
	return slices.ContainsFunc(verbs[v].options, func(o option) bool { return o.name == hold.name })
}

// Verbs are all verbs, or those of these classes, by name.
func Verbs(classes ...Class) (list []Verb) {
	for _, v := range slices.Sorted(maps.Keys(verbs)) {
		if len(classes) == 0 || slices.Contains(classes, v.Class()) {
			list = append(list, v)
		}
	}
	return list
}
