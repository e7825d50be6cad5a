// Package harness starts the whole topology of the incident in one call: an etcd cluster, grpc-proxies in front of it,
// a balancer in front of those, service instances and gateways behind it, and one history of everything that happens.
//
//	b := harness.Start(t, harness.Topology{})
//	b.Prime(ctx)                         // every gateway has read once
//	b.Leave(ctx, "v1-a")                 // through whichever proxy the balancer gave it
//	answer, calls := b.Look(ctx, "g2")   // what g2 is told now, and what becomes of calling each
//
// What a test does not set has a default that makes sense; what it sets is what matters to it. See Topology and Bench.
package harness

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"ghostroute/harness/balancer"
	"ghostroute/harness/gateway"
	"ghostroute/harness/program"
	"ghostroute/harness/proxy"
	"ghostroute/harness/registry"
	"ghostroute/harness/stage"
	"ghostroute/harness/text"
)

// Topology is what a bench is made of: plain data. The zero value is the incident's: three members, three stock proxies
// of equal weight, three gateways that resolve serializably on each request, and a service of two instances.
type Topology struct {
	Members int // etcd members: 1, 3 or 5; 0 means 3

	// what members and proxies run, each as a process of its own; zero is that they are in this process
	Etcd  program.Members
	Proxy program.Program
	// the client of the incident, which instances' and gateways' registries then are, each as a process of its own (see
	// program.Period); the zero Program is today's etcd client in this process
	Client program.Program

	// what balances; the zero Program is our own balancer, in this process
	Balancer balancer.Program

	Proxies  int           // grpc-proxies, 1 to 9; 0 means 3
	Variant  proxy.Variant // how they differ from stock
	Upstream []string      // the members they, or with Direct the clients, may ask, "m1" …; nil means all
	Direct   bool          // no proxy and no balancer: every client is given the addresses of the members in Upstream

	Weights []int // the balancer's, one a proxy; nil means 1 each
	Sticky  bool  // source affinity, as LVS persistence: a client's further connections go where its first went

	Gateways int             // 1 to 9; 0 means 3
	Reading  gateway.Kind    // which gateway; "" means gateway.EachRequest
	Library  gateway.Library // of gateways of the reading go-micro: what they remember with; "" is go-micro's own
	Mode     registry.Mode   // how gateways and instances read the registry; "" means registry.Serializable
	Modes    []registry.Mode // for g1, g2 …: the mode of that gateway in place of Mode; "" keeps Mode
	CacheTTL time.Duration   // go-micro's registry/cache.DefaultTTL for its gateway; 0 means 60 s, as shipped
	Retry    int             // how many more instances a gateway tries after a dial error

	Service   string   // the service's name; "" means "hello"
	Instances []string // its instances at the start, "version-letter"; nil means v1-a and v1-b, empty means none
	// an instance's lease, whole seconds; 0 means 60 s, so that nothing expires unless a test wants it
	TTL      time.Duration
	Interval time.Duration // how often an instance registers again; 0 means never by itself
	Scatter  bool          // a deregistration is sent through every proxy, not through the instance's own alone
	// something reads the registry linearizably through every proxy this often; 0 means nothing does
	Scrub time.Duration
	Evict bool // it does not read, but has the proxies forget: see stage.Evicting

	Auth bool // etcd's authentication is on; the bench's own clients are root
	// with Auth, for g1, g2 …: the user that gateway is; "" is root. Bench.User makes users who may read the registry
	Users []string
}

// withDefaults is t with every zero value replaced by what it stands for.
func (t Topology) withDefaults() Topology {
	def(&t.Members, 3)
	def(&t.Proxies, 3)
	def(&t.Gateways, 3)
	def(&t.Service, "hello")
	def(&t.TTL, time.Minute)
	def(&t.CacheTTL, time.Minute)
	def(&t.Mode, registry.Serializable)
	def(&t.Reading, gateway.EachRequest)
	if t.Instances == nil {
		t.Instances = []string{"v1-a", "v1-b"}
	}
	if t.Weights == nil {
		t.Weights = slices.Repeat([]int{1}, max(t.Proxies, 0))
	}
	return t
}

func def[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// ModeOf is the read mode of the i-th gateway, from 1.
func (t Topology) ModeOf(i int) registry.Mode {
	if i <= len(t.Modes) && t.Modes[i-1] != "" {
		return t.Modes[i-1]
	}
	return t.Mode
}

// Scrubbing is how the proxies are scrubbed where Scrub is more than 0.
func (t Topology) Scrubbing() stage.Scrubbing {
	if t.Evict {
		return stage.Evicting
	}
	return stage.Reading
}

// Validate says why t cannot be: one error that names each field, what it was and what it may be. Start calls it.
func (t Topology) Validate() error {
	t = t.withDefaults()
	var wrong []string
	must := func(ok bool, field string, was any, may string) {
		if !ok {
			wrong = append(wrong, fmt.Sprintf("%s is %v: it may be %s", field, was, may))
		}
	}
	must(slices.Contains([]int{1, 3, 5}, t.Members), "Members", t.Members, "1, 3 or 5")
	must(t.Proxies >= 1 && t.Proxies <= 9, "Proxies", t.Proxies, "1 to 9 (for none, set Direct)")
	must(t.Gateways >= 1 && t.Gateways <= 9, "Gateways", t.Gateways, "1 to 9")
	must(len(t.Weights) == t.Proxies, "Weights", t.Weights, fmt.Sprintf("%d weights, one for each proxy", t.Proxies))
	for _, w := range t.Weights {
		must(w >= 0, "Weights", t.Weights, "0 or more each")
	}
	must(len(t.Modes) <= t.Gateways, "Modes", t.Modes, fmt.Sprintf("at most %d, one for each gateway", t.Gateways))
	for _, m := range append([]registry.Mode{t.Mode}, t.Modes...) {
		must(m == "" || slices.Contains(registry.Modes(), m), "Mode", fmt.Sprintf("%q", m), quoted(registry.Modes()))
	}
	must(slices.Contains(kinds, t.Reading), "Reading", fmt.Sprintf("%q", t.Reading), quoted(kinds))
	must(slices.Contains(gateway.Libraries(), t.Library) && (t.Library == "" || t.Reading == gateway.GoMicro), "Library",
		fmt.Sprintf("%q", t.Library), quoted(gateway.Libraries())+", of gateways of the reading go-micro")
	for _, m := range t.Upstream {
		must(slices.Contains(names("m", t.Members), m), "Upstream", t.Upstream,
			"some of "+strings.Join(names("m", t.Members), ", "))
	}
	if t.Proxy != (program.Program{}) {
		why := t.Variant.Lacks(t.Proxy)
		must(why == "", "Variant", t.Variant, "one that a proxy of its own can be: "+why)
	}
	must(!t.Direct || t.Variant.Name == "", "Variant", t.Variant, "stock where Direct leaves no proxy to vary")
	if t.Client != (program.Program{}) {
		must(!t.Auth, "Auth", t.Auth, "false where Client is a process")
		must(t.Library == "", "Library", fmt.Sprintf("%q", t.Library),
			"that of go-micro as shipped, where Client is a process")
	}
	must(len(t.Users) == 0 || t.Auth, "Users", t.Users, "given with Auth only")
	must(len(t.Users) <= t.Gateways, "Users", t.Users, fmt.Sprintf("at most %d, one for each gateway", t.Gateways))
	must(t.TTL >= time.Second && t.TTL%time.Second == 0, "TTL", t.TTL,
		"whole seconds, 1s or more: etcd's leases count in seconds")
	must(t.CacheTTL > 0, "CacheTTL", t.CacheTTL, "more than 0")
	must(t.Interval >= 0, "Interval", t.Interval, "0 (never) or more")
	must(t.Scrub >= 0, "Scrub", t.Scrub, "0 (never) or more")
	must(!t.Evict || t.Scrub > 0, "Evict", t.Evict, "given with Scrub only")
	must(t.Retry >= 0, "Retry", t.Retry, "0 or more")
	must(!strings.Contains(t.Service, "/"), "Service", fmt.Sprintf("%q", t.Service), "a name without a slash")
	seen := map[string]bool{}
	for _, id := range t.Instances {
		v, letter, ok := strings.Cut(id, "-")
		must(ok && v != "" && letter != "", "Instances", fmt.Sprintf("%q", id), `"version-letter", as in "v1-a"`)
		must(!seen[id], "Instances", fmt.Sprintf("%q twice", id), "each once")
		seen[id] = true
	}
	if len(wrong) > 0 {
		return fmt.Errorf("this topology cannot be: %s", strings.Join(wrong, "; "))
	}
	return nil
}

func names(prefix string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("%s%d", prefix, i+1)
	}
	return all
}

func quoted[T ~string](all []T) string {
	return strings.Join(text.Each(all, func(s T) string { return fmt.Sprintf("%q", string(s)) }), " or ")
}

// kinds are the gateways there are.
var kinds = []gateway.Kind{gateway.EachRequest, gateway.GoMicro}
