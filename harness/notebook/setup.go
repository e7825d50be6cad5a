package notebook

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness"
	"ghostroute/harness/gateway"
	"ghostroute/harness/keys"
	"ghostroute/harness/proxy"
	"ghostroute/harness/registry"
	"ghostroute/harness/stage"
)

func setupCommands() []Command {
	return []Command{{
		Name: "bench", Example: "bench proxies=2 instances=(v1-a, v1-b)",
		Does: "Starts everything: etcd's members, the proxies, the balancer, instances of the service, gateways. " +
			"Without arguments it is the incident's bench: 3 members, 3 proxies, 3 gateways, v1-a and v1-b. A bench " +
			"that runs already is ended first.",
		Args: []Arg{
			{"[members=…]", oneOf("1", "3", "5"), "how many etcd members"},
			{"[proxies=…]", aNumber(), "how many grpc-proxies"},
			{"[gateways=…]", aNumber(), "how many gateways"},
			{"[instances=(…)]", newInstance(), "those registered at the start; () is none"},
			{"[service=…]", aText(), "the service's name; hello if it is not said"},
			{"[direct]", aFlag(), "no proxies and no balancer"},
			{"[upstream=(…)]", aText(), "the members the proxies may ask"},
			{"[weights=(…)]", aNumber(), "the balancer's, one for each proxy"},
			{"[sticky]", aFlag(), "the balancer gives a client the same proxy every time"},
			{"[variant=…]", aVariant(), "how the proxies differ from etcd's own"},
			{"[fix=…]", aTopologyFix(), "by its name in the matrix"},
			{"[mode=…]", aMode(), "how gateways and instances read the registry"},
			{"[modes=(…)]", aMode(), "the same, for g1, g2 …"},
			{"[reading=…]", aReading(), "which gateway: one that reads on each request, or go-micro's own with its cache"},
			{"[library=…]", aLibrary(), "with reading=go-micro: its cache, mended, or etcd's own gRPC resolver in its place"},
			{"[cache-ttl=…]", aDuration(), "how long go-micro's own cache keeps an answer"},
			{"[retry=…]", aNumber(), "how many more instances a gateway tries when one refuses"},
			{"[ttl=…]", aDuration(), "an instance's lease, in whole seconds"},
			{"[interval=…]", aDuration(), "how often an instance renews its lease; never if it is not said"},
			{"[scatter]", aFlag(), "an instance that deregisters does so through every proxy"},
			{"[scrub=…]", aDuration(), "how often every proxy is read linearizably"},
			{"[evict]", aFlag(), "with scrub=…: it is not read, but evicted"},
			{"[auth]", aFlag(), "etcd's authentication is on"},
		},
		run: (*call).bench,
	}, {
		Name: "client", Example: "client eve user=eve",
		Does: "Connects one more client of etcd through the balancer: an operator, a cron job, another team. One " +
			"called ops is there already.",
		Args: []Arg{
			{"NAME", aText(), "what to call it"},
			{"[user=…]", aText(), "the user it logs in as, on a bench with auth"},
		},
		run: (*call).client,
	}, {
		Name: "user", Example: "user eve may=nothing", act: true,
		Does: "Adds a user to etcd, or takes the user's right or the user away again. Only on a bench with auth.",
		Args: []Arg{
			{"NAME", aText(), "the user's name"},
			{"[may=…]", oneOf("read", "write", "nothing"), "the registry; who may write may read. nothing takes it away"},
			{"[service=…]", aText(), "for a new user: the keys of this service only"},
			{"[delete]", aFlag(), "removes the user"},
		},
		run: (*call).user,
	}}
}

// bench starts a bench in place of the one there is, and says what it is made of.
func (c *call) bench() error {
	top, err := c.topology()
	if err != nil {
		return err
	}
	nb := c.nb
	if err := nb.close(); err != nil {
		return fmt.Errorf("the last bench did not end as it should: %w", err)
	}
	b, err := harness.Open(c.ctx(), top)
	if err != nil {
		return err
	}
	nb.benches++
	if nb.opts.Dir != "" {
		b.Dir = filepath.Join(nb.opts.Dir, fmt.Sprintf("bench-%d", nb.benches))
		if err := os.MkdirAll(b.Dir, 0o755); err != nil {
			return fmt.Errorf("the history has nowhere to go: %w", errors.Join(err, b.Close()))
		}
	}
	top = b.Topology
	nb.bench, nb.fix, nb.phase, nb.probes = b, c.one("fix"), "", 0
	nb.instances, nb.users, nb.denied = slices.Clone(top.Instances), map[string]string{}, map[string]bool{}
	nb.clients, nb.stayed = nil, nil
	if !top.Direct {
		nb.clients = []string{"ops"} // the operator's, which the bench connects
	}
	truth, err := b.Truth(c.ctx())
	if err != nil {
		return err
	}
	nb.base = truth.Revision - int64(len(top.Instances)) - 1

	c.say("members   %s", list(nb.memberNames()))
	if !top.Direct {
		c.say("proxies   %s  %s", list(nb.proxyNames()), top.Variant.Name)
	}
	if nb.fix != "" {
		c.say("fix       %s", nb.fix)
	}
	c.say("instances %s", c.pinned(top.Instances))
	c.say("gateways  %s%s", c.pinned(nb.gatewayNames()), readings(top))
	c.say("truth     %s (revision %d)", ids(truth.Endpoints), nb.revision(truth.Revision))
	return nil
}

// topology is what the arguments of bench say.
func (c *call) topology() (harness.Topology, error) {
	top := harness.Topology{
		Members: c.number("members"), Proxies: c.number("proxies"), Gateways: c.number("gateways"),
		Service: c.one("service"), Direct: c.has("direct"), Upstream: c.all("upstream"), Sticky: c.has("sticky"),
		Mode: registry.Mode(c.one("mode")), Reading: gateway.Kind(c.one("reading")),
		Library: gateway.Library(c.one("library")), Retry: c.number("retry"),
		CacheTTL: c.duration("cache-ttl"), TTL: c.duration("ttl"), Interval: c.duration("interval"),
		Scatter: c.has("scatter"), Scrub: c.duration("scrub"), Evict: c.has("evict"), Auth: c.has("auth"),
	}
	if c.has("instances") {
		top.Instances = append([]string{}, c.all("instances")...)
	}
	for _, w := range c.all("weights") {
		n, _ := strconv.Atoi(w) // parse has seen that it is a number
		top.Weights = append(top.Weights, n)
	}
	for _, m := range c.all("modes") {
		top.Modes = append(top.Modes, registry.Mode(m))
	}
	if v := c.one("variant"); v != "" {
		var err error
		if top.Variant, err = proxy.VariantNamed(v); err != nil {
			return top, err
		}
	}
	for _, f := range c.nb.opts.Fixes {
		if f.Name == c.one("fix") && f.Apply != nil {
			f.Apply(&top)
		}
	}
	if err := top.Validate(); err != nil {
		return top, c.wrong("%v", err)
	}
	return top, nil
}

// readings says how the gateways read, if it is not as go-micro does and as the reader has met it from the first
// chapter on.
func readings(top harness.Topology) string {
	var modes []string
	for i := range top.Gateways {
		modes = append(modes, string(top.ModeOf(i+1)))
	}
	if one := slices.Compact(slices.Clone(modes)); len(one) == 1 {
		modes = one
	}
	says := ""
	if len(modes) > 1 || modes[0] != string(registry.Serializable) {
		says = "  " + strings.Join(modes, " ")
	}
	switch {
	case top.Library != gateway.Shipped:
		says += "  " + string(top.Library)
	case top.Reading != gateway.EachRequest:
		says += "  " + string(top.Reading)
	}
	return says
}

func (c *call) client() error {
	name, user := c.one("name"), c.one("user")
	nb := c.nb
	if nb.kindOf(name) != "" {
		return c.wrong("there is a %s already", name)
	}
	var err error
	as := ""
	if user == "" {
		_, err = c.b().Client(c.ctx(), name)
	} else {
		_, err = c.b().ClientAs(c.ctx(), name, user, user)
		as = ", logged in as " + user
	}
	if err != nil {
		return fmt.Errorf("%s was not connected: %s", name, nb.clean(err.Error()))
	}
	nb.clients = append(nb.clients, name)
	nb.users[name] = user
	c.say("%s%s", c.pinned([]string{name}), as)
	return nil
}

func (c *call) user() error {
	if !c.b().Topology.Auth {
		return c.wrong("authentication is off on this bench: begin with bench auth")
	}
	name, gone, denied := c.one("name"), c.has("delete"), c.has("delete") || c.one("may") == "nothing"
	what, prefix, may, verb := "the registry", keys.Registry, clientv3.PermRead, "read"
	if c.has("service") {
		what, prefix = c.service(), keys.Service(c.service())
	}
	if c.one("may") == "write" {
		may, verb = clientv3.PermReadWrite, "read and write"
	}
	_, known := c.nb.denied[name]
	if known && (c.has("service") || may == clientv3.PermReadWrite) {
		return c.wrong("there is a %s already: what a user may is said when it is added", name)
	}
	c.nb.denied[name] = denied
	change := func(root *clientv3.Client) (err error) {
		switch {
		case gone:
			_, err = root.UserDelete(c.ctx(), name)
		case !denied:
			_, err = root.UserGrantRole(c.ctx(), name, stage.RoleOf(name))
		case known:
			_, err = root.UserRevokeRole(c.ctx(), name, stage.RoleOf(name))
		default:
			_, err = root.UserAdd(c.ctx(), name, name)
		}
		return err
	}
	var err error
	if known || denied {
		err = c.b().Administer(c.ctx(), "user", change)
	} else {
		err = c.b().User(c.ctx(), name, prefix, clientv3.PermissionType(may))
	}
	switch {
	case err != nil:
		return fmt.Errorf("etcd did not change what it knows of %s: %w", name, err)
	case gone:
		c.say("etcd knows no user %s any more", name)
	case denied:
		c.say("etcd knows %s, who may read nothing", name)
	default:
		c.say("etcd knows %s, who may %s %s", name, verb, what)
	}
	return nil
}
