package notebook

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness"
	"ghostroute/harness/gateway"
	"ghostroute/harness/proxy"
	"ghostroute/harness/registry"
)

func benchCommand() Command {
	return Command{
		Name:  "bench",
		Theme: "Set up",
		Does: "Starts everything: etcd's members, the proxies, the balancer, instances of the service, gateways. What is not said is as in the " +
			"incident: 3 members, 3 proxies, 3 gateways, v1-a and v1-b. A bench that runs already is ended first.",
		Example: "bench proxies=2 instances=(v1-a, v1-b)",
		Args: []Arg{
			{Name: "members", Kind: oneOf("1", "3", "5"), Named: true, Optional: true, Says: "how many etcd members"},
			{Name: "proxies", Kind: aNumber(), Named: true, Optional: true, Says: "how many grpc-proxies"},
			{Name: "gateways", Kind: aNumber(), Named: true, Optional: true, Says: "how many gateways"},
			{Name: "instances", Kind: newInstance(), Named: true, Optional: true, Many: true, Says: "who has registered at the start; () is nobody"},
			{Name: "service", Kind: aText(), Named: true, Optional: true, Says: "the service's name; hello if it is not said"},
			{Name: "direct", Kind: aFlag(), Optional: true, Says: "no proxies and no balancer"},
			{Name: "upstream", Kind: aText(), Named: true, Optional: true, Many: true, Says: "the members the proxies may ask"},
			{Name: "weights", Kind: aNumber(), Named: true, Optional: true, Many: true, Says: "the balancer's, one for each proxy"},
			{Name: "sticky", Kind: aFlag(), Optional: true, Says: "the balancer gives a client the same proxy every time"},
			{Name: "variant", Kind: aVariant(), Named: true, Optional: true, Says: "how the proxies differ from etcd's own"},
			{Name: "fix", Kind: aFix(), Named: true, Optional: true, Says: "a cure, by its name in the matrix"},
			{Name: "mode", Kind: aMode(), Named: true, Optional: true, Says: "how gateways and instances read the registry"},
			{Name: "modes", Kind: aMode(), Named: true, Optional: true, Many: true, Says: "the same, for g1, g2 …"},
			{Name: "reading", Kind: oneOf(string(gateway.EachRequest), string(gateway.GoMicro)), Named: true, Optional: true, Says: "which gateway: one that reads on each request, or go-micro's own with its cache"},
			{Name: "cache-ttl", Kind: aDuration(), Named: true, Optional: true, Says: "how long go-micro's own cache keeps an answer"},
			{Name: "retry", Kind: aNumber(), Named: true, Optional: true, Says: "how many more instances a gateway tries when one refuses"},
			{Name: "ttl", Kind: aDuration(), Named: true, Optional: true, Says: "an instance's lease, in whole seconds"},
			{Name: "interval", Kind: aDuration(), Named: true, Optional: true, Says: "how often an instance renews it; never if it is not said"},
			{Name: "scatter", Kind: aFlag(), Optional: true, Says: "who deregisters does so through every proxy"},
			{Name: "scrub", Kind: aDuration(), Named: true, Optional: true, Says: "how often something reads linearizably through every proxy"},
			{Name: "auth", Kind: aFlag(), Optional: true, Says: "etcd asks who is asking"},
		},
		run: func(c *call) error {
			top, err := c.topology()
			if err != nil {
				return err
			}
			return c.start(top, c.one("fix"))
		},
	}
}

// topology is what the arguments say.
func (c *call) topology() (harness.Topology, error) {
	top := harness.Topology{
		Members: c.number("members"), Proxies: c.number("proxies"), Gateways: c.number("gateways"), Service: c.one("service"),
		Direct: c.has("direct"), Upstream: c.all("upstream"), Sticky: c.has("sticky"), Scatter: c.has("scatter"), Auth: c.has("auth"),
		Mode: registry.Mode(c.one("mode")), Reading: gateway.Kind(c.one("reading")), Retry: c.number("retry"),
		CacheTTL: c.duration("cache-ttl"), TTL: c.duration("ttl"), Interval: c.duration("interval"), Scrub: c.duration("scrub"),
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

// start starts a bench in place of the one there is, and says what it is made of.
func (c *call) start(top harness.Topology, fix string) error {
	nb := c.nb
	c.awaits("the last bench to end")
	if err := nb.close(); err != nil {
		return fmt.Errorf("the last bench did not end as it should: %w", err)
	}
	c.awaits("every part of the bench to be ready")
	b, err := harness.Open(c.ctx(), top)
	if err != nil {
		return err
	}
	nb.benches++
	if nb.opts.Dir != "" {
		b.Dir = filepath.Join(nb.opts.Dir, fmt.Sprintf("bench-%d", nb.benches))
		if err := os.MkdirAll(b.Dir, 0o755); err != nil {
			return fmt.Errorf("the history has nowhere to go: %w", err)
		}
	}
	top = b.Topology
	nb.bench, nb.fix, nb.phase, nb.probes = b, fix, "", 0
	nb.instances, nb.users, nb.denied = slices.Clone(top.Instances), map[string]string{}, map[string]bool{}
	nb.roots, nb.stayed = map[string]*clientv3.Client{}, nil
	nb.clients = nil
	if !top.Direct {
		nb.clients = []string{"ops"} // the operator's, which the bench connects
	}
	truth, err := b.Settle(c.ctx())
	if err != nil {
		return err
	}
	nb.base = truth.Revision - int64(len(top.Instances)) - 1

	c.say("members   %s", list(nb.memberNames()))
	if !top.Direct {
		c.say("proxies   %s%s", list(nb.proxyNames()), variantOf(top))
	}
	if fix != "" {
		c.say("fix       %s", fix)
	}
	c.say("instances %s", c.pinned(top.Instances))
	c.say("gateways  %s%s", c.pinned(nb.gatewayNames()), readings(top))
	c.say("truth     %s (revision %d)", ids(truth.Endpoints), nb.revision(truth.Revision))
	return nil
}

// pinned names clients, each with the proxy that its connection goes to.
func (c *call) pinned(clients []string) string {
	var all []string
	for _, name := range clients {
		if p := c.b().PinnedTo(name); p != "" {
			name += "→" + p
		}
		all = append(all, name)
	}
	return list(all)
}

// variantOf says how the proxies differ from etcd's own, if they do.
func variantOf(top harness.Topology) string {
	if top.Variant.Name == "" {
		return ""
	}
	return "  " + top.Variant.Name
}

// readings says how the gateways read, if it is not as go-micro does and as the reader has met it from the first chapter on.
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
	if top.Reading != gateway.EachRequest {
		says += "  " + string(top.Reading)
	}
	return says
}
