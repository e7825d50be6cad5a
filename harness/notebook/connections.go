package notebook

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"ghostroute/harness/conn"
	"ghostroute/harness/history"
	"ghostroute/harness/proxy"
	"ghostroute/harness/text"
	"ghostroute/harness/wait"
)

func connectionCommands() []Command {
	return []Command{{
		Name: "weights", Example: "weights 1 0 0", act: true,
		Does: "Tells the balancer how many of the new connections each proxy gets. With weight 0 it gets none; those " +
			"it has stay.",
		Args: []Arg{{"WEIGHT…", aNumber(), "one for each proxy"}},
		run:  (*call).weights,
	}, {
		Name: "drain", Example: "drain p2", act: true,
		Does: "Closes every connection to a proxy, one after another: each client makes a new one, and the balancer " +
			"says where to. Give the proxy weight 0 first, or they may come back.",
		Args: []Arg{{"PROXY", aProxy(), ""}},
		run:  (*call).drain,
	}, {
		Name: "reconnect", Example: "reconnect g1", act: true,
		Does: "Closes the connections of clients, one after another: each makes a new one, and the balancer says " +
			"where to.",
		Args: []Arg{{"CLIENT…", connected(), ""}},
		run:  each("client", (*call).reconnect),
	}, {
		Name: "restart-proxy", Example: "restart-proxy p2", act: true,
		Does: "A proxy ends and starts again with nothing remembered. Each client that was connected to it makes a " +
			"new connection, one after another, and the balancer says where to.",
		Args: []Arg{{"PROXY…", aProxy(), ""}},
		run:  each("proxy", (*call).restartProxy),
	}, {
		Name: "narrow", Example: "narrow p1 m3", act: true,
		Does: "Has a proxy ask only these members from now on; with no member, every one again. etcd's proxies ask " +
			"all of them in turn.",
		Args: []Arg{{"PROXY", aProxy(), ""}, {"[MEMBER…]", aMember(), ""}},
		run:  (*call).narrow,
	}}
}

func (c *call) weights() error {
	proxies := c.nb.proxyNames()
	if len(c.all("weight")) != len(proxies) {
		return c.wrong("there are %d proxies and %d weights", len(proxies), len(c.all("weight")))
	}
	weights, says := map[string]int{}, []string{}
	for i, w := range c.all("weight") {
		weights[proxies[i]], _ = strconv.Atoi(w) // parse has seen that it is a number
		says = append(says, proxies[i]+" "+w)
	}
	if err := c.b().SetWeights(weights); err != nil {
		return c.wrong("%v", err)
	}
	c.say("weights are %s", strings.Join(says, ", "))
	return nil
}

func (c *call) drain() error {
	p := c.one("proxy")
	moved := c.nb.pinnedTo(p)
	for _, client := range moved {
		if err := c.b().Reconnect(c.ctx(), client); err != nil {
			return err
		}
	}
	c.say("%s is drained: %s", p, c.pinned(moved))
	return nil
}

func (c *call) reconnect(client string) error {
	if err := c.b().Reconnect(c.ctx(), client); err != nil {
		return err
	}
	c.say("%s", c.pinned([]string{client}))
	return nil
}

// pinnedTo are the clients with a connection to a proxy: gateways, then instances, then plain clients, then what is
// just about to register.
func (nb *Notebook) pinnedTo(proxy string) []string {
	all := slices.Concat(nb.gatewayNames(), nb.instances, nb.clients)
	for _, name := range slices.Sorted(maps.Keys(nb.bench.Balancer.Pinned())) {
		if !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return slices.DeleteFunc(all, func(name string) bool { return nb.bench.PinnedTo(name) != proxy })
}

// pinned names clients, each with the proxy that its connection goes to.
func (c *call) pinned(clients []string) string {
	return list(text.Each(clients, func(name string) string {
		if p := c.b().PinnedTo(name); p != "" {
			return name + "→" + p
		}
		return name
	}))
}

// comesBack mends a client's way to the balancer, and waits until it has a connection again. One that is held while it
// registers comes back by itself.
func (c *call) comesBack(client string) error {
	n := c.b().History.Len()
	if err := c.b().Mend(c.ctx(), client); err != nil {
		return err
	}
	if c.nb.kindOf(client) != "" {
		over, err := c.connect(client)
		if err != nil {
			return err
		}
		if err := conn.Ready(c.ctx(), over.ActiveConnection()); err != nil {
			return err
		}
	}
	if c.b().Topology.Direct {
		return nil
	}
	_, err := c.b().History.Wait(c.ctx(), n, func(e history.Event) bool {
		return e.Conn != nil && e.Conn.Op == "open" && e.Conn.Client == client
	})
	return err
}

// restartProxy keeps the proxy's clients away meanwhile, so that they come back in an order of ours.
func (c *call) restartProxy(p string) error {
	w := c.nb.lookout()
	clients := c.nb.pinnedTo(p)
	for _, client := range clients {
		if err := c.b().Cut(c.ctx(), client); err != nil {
			return err
		}
	}
	if err := c.b().RestartProxy(c.ctx(), p); err != nil {
		return err
	}
	delete(c.nb.gates, p) // a proxy that stops loses what it held
	for _, client := range clients {
		if err := c.comesBack(client); err != nil {
			return err
		}
	}
	c.say("%s starts again and remembers nothing", p)
	if len(clients) > 0 {
		c.say("%s", c.pinned(clients))
	}
	out, err := c.nb.resume(p, w)
	c.lines = append(c.lines, out...)
	return err
}

func (c *call) narrow() error {
	p, members := c.one("proxy"), c.all("member")
	if err := c.b().Narrow(c.ctx(), p, members...); err != nil {
		return err
	}
	if len(members) == 0 {
		c.say("%s asks every member again", p)
		return nil
	}
	if err := c.narrowed(p, members); err != nil {
		return err
	}
	c.say("%s asks %s only", p, list(members))
	return nil
}

// probePrefix is where narrow reads: no other key begins so, so what a proxy remembers of it changes no other answer.
const probePrefix = "/ghostroute/probe/"

// narrowed waits until a proxy asks no other members than these: gRPC hears of a new list of addresses a moment after
// it was given. As many reads in a row as there are members must be answered by one of these, for a proxy asks them in
// turn. Each read is of another key, so that it is a miss, and serializable, so that a member that is cut off can
// answer.
func (c *call) narrowed(p string, members []string) error {
	client, err := c.connect(p)
	if err != nil {
		return err
	}
	row := 0
	return wait.For(c.ctx(), func() string {
		by, err := c.probe(client)
		if row++; err != nil || !slices.Contains(members, by) {
			row = 0
		}
		if row > len(c.nb.memberNames()) {
			return ""
		}
		return fmt.Sprintf("%s does not ask %s only: %s answers (%v)", p, list(members), by, err)
	})
}

// probe reads a key that was never read, and returns the member that answered.
func (c *call) probe(client *clientv3.Client) (member string, err error) {
	c.nb.probes++
	ctx, cancel := context.WithTimeout(c.ctx(), patience)
	defer cancel()
	var md metadata.MD
	req := &pb.RangeRequest{Key: fmt.Appendf(nil, "%s%d", probePrefix, c.nb.probes), Serializable: true}
	_, err = clientv3.RetryKVClient(client).Range(ctx, req, grpc.Trailer(&md))
	if m := md.Get(proxy.TrailerMember); len(m) > 0 {
		member = m[0]
	}
	return member, err
}
