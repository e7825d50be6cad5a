package notebook

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"

	"ghostroute/harness/keys"
	"ghostroute/harness/probe"
	"ghostroute/harness/proxy"
	"ghostroute/harness/stage"
	"ghostroute/harness/text"
)

func operatorCommands() []Command {
	return []Command{{
		Name: "check", Example: "check",
		Does: "What an operator's checks say of every member and every proxy: etcdctl endpoint health, hashkv and " +
			"status, and the /health of each proxy, where a balancer looks. Beware: endpoint health reads a key, and " +
			"a proxy remembers that, too.",
		run: (*call).check,
	}, {
		Name: "probe", Example: "probe heal", act: true,
		Does: "ghostroute probe, given the addresses of every member and every proxy: it finds out which is which, asks " +
			"each proxy as go-micro does, and compares with a member. With heal it has a proxy forget what lies, as " +
			"evict does, and looks again. What a proxy had not remembered before it was asked it remembers now.",
		Args: []Arg{{"[heal]", aFlag(), "what lies is evicted"}},
		run:  (*call).probeAll,
	}}
}

// finding is what a check said at one node.
type finding struct {
	answer string
	hash   uint32 // of hashkv: another on each run
}

// checks are what check asks, each of a node by a connection to it.
func (c *call) checks() []check {
	members, proxies := c.nb.memberNames(), c.nb.proxyNames()
	all := slices.Concat(members, proxies)
	return []check{
		{"endpoint health", all, func(ctx context.Context, _ string, conn grpc.ClientConnInterface) (finding, error) {
			_, err := pb.NewKVClient(conn).Range(ctx, &pb.RangeRequest{Key: []byte("health")}) // as etcdctl does
			return finding{answer: "healthy"}, err
		}},
		{"endpoint hashkv", all, func(ctx context.Context, _ string, conn grpc.ClientConnInterface) (finding, error) {
			r, err := pb.NewMaintenanceClient(conn).HashKV(ctx, &pb.HashKVRequest{})
			return finding{fmt.Sprintf("of revision %d", c.nb.revision(r.GetHashRevision())), r.GetHash()}, err
		}},
		{"endpoint status", all, func(ctx context.Context, _ string, conn grpc.ClientConnInterface) (finding, error) {
			r, err := pb.NewMaintenanceClient(conn).Status(ctx, &pb.StatusRequest{})
			revision, errs := c.nb.revision(r.GetHeader().GetRevision()), text.Count(len(r.GetErrors()), "error")
			return finding{answer: fmt.Sprintf("revision %d, %s", revision, errs)}, err
		}},
		{"/health", proxies, func(ctx context.Context, node string, _ grpc.ClientConnInterface) (finding, error) {
			err := c.b().Proxy(node).Health(ctx)
			for again := 0; again < 2 && err != nil; again++ { // as balancers do; etcd's limit is a second
				err = c.b().Proxy(node).Health(ctx)
			}
			return finding{answer: "true"}, err
		}},
	}
}

type check struct {
	name string
	at   []string
	ask  func(ctx context.Context, node string, conn grpc.ClientConnInterface) (finding, error)
}

// check asks everything at once, since what reaches nobody fails by its time limit, and says what came of it and where.
func (c *call) check() error {
	if err := c.caughtUp(); err != nil {
		return err
	}
	checks := c.checks()
	said := make([][]finding, len(checks))
	var all sync.WaitGroup
	for i, one := range checks {
		said[i] = make([]finding, len(one.at))
		for j, node := range one.at {
			client, err := c.connect(node)
			if err != nil {
				said[i][j].answer = "not reached"
				continue
			}
			all.Go(func() {
				ctx, cancel := context.WithTimeout(c.ctx(), patience)
				defer cancel()
				var err error
				if said[i][j], err = one.ask(ctx, node, client.ActiveConnection()); err != nil {
					said[i][j] = finding{answer: "it fails"}
				}
			})
		}
	}
	all.Wait()
	for i, one := range checks {
		for n, s := range distinct(said[i]) {
			var nodes []string
			for j, node := range one.at {
				if said[i][j] == s {
					nodes = append(nodes, node)
				}
			}
			answer := s.answer
			if s.hash != 0 {
				answer = fmt.Sprintf("hash %d %s", n+1, s.answer)
			}
			c.say("%-15s  %s: %s", one.name, list(nodes), answer)
		}
	}
	return c.ctx().Err()
}

// distinct are the answers without repetition, in order.
func distinct(all []finding) (once []finding) {
	for _, s := range all {
		if !slices.Contains(once, s) {
			once = append(once, s)
		}
	}
	return once
}

// probeAll runs a probe of all members and proxies.
func (c *call) probeAll() error {
	before, err := c.b().Truth(c.ctx())
	if err != nil {
		return err
	}
	config := probe.Config{Heal: c.has("heal"), Timeout: patience, DialTimeout: patience}
	for _, m := range c.b().Cluster.Members {
		config.Endpoints = append(config.Endpoints, m.Endpoint())
	}
	config.Endpoints = append(config.Endpoints, text.Each(c.b().Proxies(), (*proxy.Proxy).Addr)...)
	if c.b().Topology.Auth {
		config.User, config.Password = stage.Root, stage.Root
	}
	report, err := probe.Run(c.ctx(), config)
	if errors.Is(err, probe.ErrNoProxy) || errors.Is(err, probe.ErrNoTruth) {
		return c.fails(err, "the probe ends")
	}
	if err != nil {
		return err
	}
	is := map[probe.Role][]string{}
	for _, e := range report.Endpoints {
		is[e.Role] = append(is[e.Role], c.nb.clean(e.Endpoint))
	}
	c.say("members  %s", list(is[probe.Member]))
	c.say("proxies  %s", list(is[probe.Proxy]))
	for _, e := range report.Endpoints {
		switch name := c.nb.clean(e.Endpoint); {
		case e.Error != "":
			c.say("%s is not asked", name)
		case e.Role == probe.Proxy:
			c.say("%s gives %s, %d of them wrong", name, text.Count(e.Answers, "answer"), e.Lies)
			c.lies(report, e.Endpoint)
		}
	}
	if !config.Heal {
		return nil
	}
	after, err := c.b().Truth(c.ctx())
	if err != nil {
		return err
	}
	c.say("truth was at %d before, and is at %d", c.nb.revision(before.Revision), c.nb.revision(after.Revision))
	return nil
}

// lies names what is wrong with the answers of one proxy.
func (c *call) lies(report *probe.Report, endpoint string) {
	kinds := []probe.Verdict{probe.Ghost, probe.Hidden, probe.Changed}
	for _, e := range report.Entries {
		if e.Endpoint != endpoint || e.Verdict == probe.Fresh {
			continue
		}
		var what []string
		for _, kind := range kinds {
			var names []string
			for _, d := range e.Keys {
				if d.Is == kind {
					names = append(names, shortName(string(d.Key)))
				}
			}
			if len(names) > 0 {
				what = append(what, strings.ToUpper(string(kind))+" "+list(names))
			}
		}
		says := fmt.Sprintf("%s  in its answer for %s, of revision %d", strings.Join(what, ", "),
			rangeName(string(e.Key), string(e.End)), c.nb.revision(e.Revision))
		if !slices.Contains(kinds, e.Verdict) {
			says += "; " + string(e.Verdict)
		}
		switch {
		case e.Healed:
			says += "; healed"
		case e.Help != "":
			says += "; " + c.nb.clean(e.Help)
		}
		c.say("%s", says)
	}
}

// shortName is an instance's name for its key.
func shortName(key string) string {
	if _, id, ok := keys.Parse(key); ok {
		return id
	}
	return key
}
