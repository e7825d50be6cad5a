package notebook

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"ghostroute/harness/history"
	"ghostroute/harness/keys"
	"ghostroute/harness/link"
	"ghostroute/harness/proxy"
	"ghostroute/harness/registry"
	"ghostroute/harness/tap"
	"ghostroute/harness/text"
)

func lookCommands() []Command {
	service := Arg{"[service=…]", aText(), "another service than the bench's"}
	gateways := Arg{"[GATEWAY…]", aGateway(), "all of them if none is named"}
	return []Command{{
		Name: "truth", Example: "truth",
		Does: "What etcd's members agree on, read past every proxy: which instances are registered, and at which " +
			"revision.",
		Args: []Arg{service},
		run:  (*call).truth,
	}, {
		Name: "get", Example: "get ops mode=serializable",
		Does: "Reads etcd, as etcdctl get --prefix does: over the connection of a client, a gateway or an instance, " +
			"or straight at a proxy or a member. Linearizably, as etcdctl does, unless mode says otherwise. Beware: " +
			"a linearizable read through a proxy changes what that proxy remembers.",
		Args: []Arg{
			{"WHO", asker(), ""},
			{"[mode=…]", oneOf("linearizable", "serializable"), "linearizable if it is not said"},
			service,
			{"[instance=…]", anInstance(), "one instance's key only"},
			{"[key=…]", aText(), "any one key"},
			{"[prefix=…]", aText(), "every key that begins so"},
			{"[from=…]", aText(), "every key from this one on"},
			{"[patience=…]", aDuration(), "how long to wait for an answer"},
		},
		run: (*call).get,
	}, {
		Name: "resolve", Example: "resolve g1 g2", look: true,
		Does: "Gateways ask the registry which instances run the service, and call none. The second line says where " +
			"the answer came from and how it stands to truth.",
		Args: []Arg{gateways, service},
		run:  each("gateway", (*call).resolve),
	}, {
		Name: "call", Example: "call g2", look: true,
		Does: "Gateways ask the registry which instances run the service, and then really call each instance of the " +
			"answer, as they would for a user.",
		Args: []Arg{gateways, service},
		run:  each("gateway", (*call).call),
	}, {
		Name: "list", Example: "list g1", look: true,
		Does: "Gateways ask the registry for every service there is. That is another question than resolve's, so a " +
			"proxy remembers its answer apart.",
		Args: []Arg{gateways},
		run:  each("gateway", (*call).list),
	}, {
		Name: "cache", Example: "cache p1 p2",
		Does: "What each proxy remembers: the question, its answer, and the revision that was true at. Looking this " +
			"way changes nothing.",
		Args: []Arg{{"[PROXY…]", aProxy(), "all of them if none is named"}},
		run:  each("proxy", (*call).cache),
	}, {
		Name: "pins", Example: "pins",
		Does: "Which connection goes to which proxy. A connection stays where the balancer put it until it is closed.",
		run:  (*call).pins,
	}}
}

func (c *call) truth() error {
	t, err := c.b().TruthOf(c.ctx(), c.service())
	if err != nil {
		return err
	}
	c.say("truth is %s (revision %d)", ids(t.Endpoints), c.nb.revision(t.Revision))
	return nil
}

// patience is how long get waits for an answer where etcd may have none: go-micro waits as long.
const patience = 5 * time.Second

func (c *call) get() error {
	who := c.one("who")
	client, err := c.connect(who)
	if err != nil {
		return err
	}
	op := c.read()
	serializable := c.one("mode") == "serializable"
	req := &pb.RangeRequest{Key: op.KeyBytes(), RangeEnd: op.RangeBytes(), Serializable: serializable}
	ctx, cancel := c.patiently(patience)
	defer cancel()
	var md metadata.MD
	n := c.b().History.Len()
	r := history.Resolve{Began: c.b().History.Now(), Service: c.service(), Endpoints: []history.Endpoint{}}
	// Past the tap, for that of a registry's client would change the read to its own read mode.
	resp, err := clientv3.RetryKVClient(client).Range(ctx, req, grpc.Trailer(&md))
	switch {
	case ctx.Err() != nil && c.ctx().Err() == nil:
		c.say("%s has no answer: nobody gave one as long as it waited", who)
		return c.letGo(who, req, n)
	case err != nil:
		return c.fails(err, "%s is told nothing", who)
	}
	r.Via, r.Source, r.Range = tap.Origin(md)
	r.Revision = resp.Header.GetRevision()
	whole := string(req.Key) == keys.Service(r.Service) && len(req.RangeEnd) > 1
	for _, one := range resp.Kvs {
		_, endpoints, derr := registry.Decode(one.Value)
		r.Endpoints = append(r.Endpoints, endpoints...)
		switch {
		case derr != nil:
			whole = false
			c.say("%s = %s", one.Key, one.Value)
		case !whole:
			for _, e := range endpoints {
				c.say("%s = %s, version %s, at the address of %s", one.Key, e.ID, e.Version, c.nb.clean(e.Address))
			}
		}
	}
	if user := c.nb.users[who]; user != "" && c.nb.denied[user] && len(resp.Kvs) > 0 {
		c.say("%s is told %s", who, ids(r.Endpoints))
		c.say("LEAK %s  %s; truth is that %s may not read this", ids(r.Endpoints), c.nb.origin(r, 0), user)
		return nil
	}
	if whole {
		return c.told(who, r, r.Service)
	}
	c.say("%s is told %s  %s", who, text.Count(len(resp.Kvs), "key"), c.nb.origin(r, 0))
	return nil
}

// letGo waits until the proxy that somebody asked has let go of a read that nobody waits for any more: it hears of that
// a moment later, and until then an answer would still be filed. The history had n events before the read.
func (c *call) letGo(who string, req *pb.RangeRequest, n int) error {
	at := who
	if c.nb.kindOf(who) != "proxy" {
		if at = c.b().PinnedTo(who); at == "" {
			return nil // no proxy was asked
		}
		ways, err := c.b().Links(who)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(ways, func(l *link.Link) bool { _, hole, _ := l.Broken(); return hole }) {
			return nil // nor did it hear of it
		}
	}
	_, err := c.b().History.Wait(c.ctx(), n, func(e history.Event) bool {
		return e.Who == at && e.Range != nil && e.Range.Key == string(req.Key)
	})
	return err
}

// read is the read that the arguments describe; GetService's if they describe none.
func (c *call) read() clientv3.Op {
	switch {
	case c.has("instance"):
		return clientv3.OpGet(keys.Node(c.service(), c.one("instance")))
	case c.has("key"):
		return clientv3.OpGet(c.one("key"))
	case c.has("prefix"):
		return clientv3.OpGet(c.one("prefix"), clientv3.WithPrefix())
	case c.has("from"):
		return clientv3.OpGet(c.one("from"), clientv3.WithFromKey())
	}
	return clientv3.OpGet(keys.Service(c.service()), clientv3.WithPrefix())
}

func (c *call) resolve(gateway string) error {
	return c.told(gateway, c.b().Gateway(gateway).Resolve(c.ctx(), c.service()), c.service())
}

func (c *call) call(gateway string) error {
	r, requests := c.b().Gateway(gateway).CallEach(c.ctx(), c.service())
	err := c.told(gateway, r, c.service())
	c.outcomes(requests)
	return err
}

// outcomes says what became of the calls, those that ended alike on one line.
func (c *call) outcomes(requests []history.Request) {
	for len(requests) > 0 {
		came, targets := outcome(requests[0]), []string{}
		for len(requests) > 0 && outcome(requests[0]) == came {
			if q := requests[0]; q.Target != "" || q.Dialled != "" {
				targets = append(targets, cmp.Or(q.Target, q.Dialled))
			}
			requests = requests[1:]
		}
		c.say("  calls %s: %s", list(targets), c.nb.clean(came))
	}
}

// outcome is what became of a request, in the words that its caller got.
func outcome(q history.Request) string {
	switch {
	case q.Err != "":
		return q.Err
	case q.Status == 200 && q.Answered != q.Service:
		return fmt.Sprintf("200, but from %s %s, which is not %s", q.Answered, q.Instance, q.Service)
	case q.Status == 200 && q.Instance != q.Target:
		return fmt.Sprintf("200, but from %s", q.Instance)
	case q.Log != "":
		return fmt.Sprintf("%d  %s", q.Status, q.Log)
	}
	return fmt.Sprint(q.Status)
}

func (c *call) list(gateway string) error {
	g := c.b().Gateway(gateway)
	r, services := g.Read(c.ctx(), c.service(), keys.Registry, clientv3.WithPrefix()) // as ListServices does
	if r.Err == "" {
		c.say("%s lists: %s", gateway, strings.Join(services, ", "))
	}
	return c.told(gateway, r, r.Service)
}

func (c *call) cache(p string) error {
	truth, err := c.b().Truth(c.ctx())
	if err != nil {
		return err
	}
	entries := slices.DeleteFunc(c.b().Proxy(p).Cache(c.ctx()), func(e proxy.Entry) bool {
		return strings.HasPrefix(e.Key, probePrefix) // the notebook's own
	})
	for _, e := range entries {
		c.entry(p, e, truth)
	}
	if len(entries) == 0 {
		c.say("%s remembers nothing", p)
	}
	return nil
}

// entry says what one entry is, and, where it answers for the whole service, how it stands to truth.
func (c *call) entry(p string, e proxy.Entry, truth history.Truth) {
	shape := ""
	if e.Shape != "" {
		shape = " (" + e.Shape + ")"
	}
	answer := history.Resolve{Source: history.Hit, Via: p, Revision: e.Revision}
	var names []string
	for _, k := range e.Keys {
		name := keyName(k)
		if service, id, ok := keys.Parse(k); ok && service == truth.Service {
			answer.Endpoints = append(answer.Endpoints, history.Endpoint{ID: id}) // keys do not say where it runs
			name = id
		}
		names = append(names, name)
	}
	c.say("%s remembers %s%s: %s (revision %d)",
		p, rangeName(e.Key, e.End), shape, list(names), c.nb.revision(e.Revision))
	if e.Key == c.b().ServicePrefix() && e.End != "" && e.Shape == "" && !answer.Agrees(truth) {
		c.compare(answer, truth)
	}
}

func (c *call) pins() error {
	for _, names := range [][]string{c.nb.gatewayNames(), c.nb.instances, c.nb.clients} {
		pinned := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return c.b().PinnedTo(name) == "" })
		if len(pinned) > 0 {
			c.say("%s", c.pinned(pinned))
		}
	}
	return nil
}
