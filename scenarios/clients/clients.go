// Package clients is how general the ghost is: the scenarios of the matrix, as other clients than go-micro's see them.
//
// A client is a fix that changes gateways and nothing else: what they look a service up with. Trials, verdicts and
// their rules are the matrix'. Each is tried behind stock proxies, and behind proxies that revalidate, where every
// fault that is left is the client's own.
package clients

import (
	"ghostroute/harness"
	"ghostroute/harness/gateway"
	"ghostroute/harness/registry"
	"ghostroute/harness/text"
	"ghostroute/scenarios"
)

// Client is what looks a service up.
type Client struct {
	Name    string
	Title   string
	Reads   string // how it reads etcd
	Advice  string // for who has it
	Reading gateway.Kind
	Change  func(*harness.Topology) // of the gateways; nil for none
	Starts  bool                    // it is started after the change
	Never   map[string]string       // scenarios that make no sense for it, and why
}

// Why scenarios make no sense for a client that reads once.
const (
	forgets = "it forgets nothing, and so reads nothing again"
	started = "it reads when it starts, and at no other time"
)

// Clients are all of them. The first two are the columns of the matrix.
func Clients() []Client {
	with := func(l gateway.Library) func(*harness.Topology) {
		return func(t *harness.Topology) { t.Library = l }
	}
	return []Client{
		{Name: "go-micro-reads", Title: "go-micro's registry/etcd, asked on each request", Reading: gateway.EachRequest,
			Reads: "lists serializably each time",
			Advice: "It is as right as its proxy: cure the proxy, or drop WithSerializable in registry/etcd/etcd.go. " +
				"Nothing that is done to this client alone helps while it reads serializably."},
		{Name: "go-micro", Title: "go-micro's gateway as shipped, with its cache and its watch", Reading: gateway.GoMicro,
			Reads: "watches, and lists serializably when a copy is a minute old",
			Advice: "A cured proxy is not enough: a last instance that left while the watch was broken, what a user " +
				"who lost a right had read, and a range that is deleted in one go stay in its cache. Take the mended " +
				"cache and watcher along."},
		{Name: "go-micro-mended", Title: "go-micro's cache and watcher, mended, and instances whose registration is",
			Reading: gateway.GoMicro, Reads: "does as go-micro does", Change: with(gateway.Mended),
			Advice: "It does not cure a lying proxy, and reads its ghosts as the shipped one does. Behind a cured proxy " +
				"it is what makes the users fresh too."},
		{Name: "grpc-resolver", Title: "etcd's own gRPC resolver, running", Reading: gateway.GoMicro,
			Reads: "lists serializably when it starts, then watches from the next revision", Change: with(gateway.Resolver),
			Never: map[string]string{"resurrection": forgets, "read-during-write": started, "lagging-member": started},
			Advice: "While it runs no cache can fool it: it reads no more. It is as good as its watch, so mind what is " +
				"wrong with a proxy's watches ([beyond the cache](beyond.md)), and that a watch that ended is never begun anew."},
		{Name: "grpc-resolver-new", Title: "etcd's own gRPC resolver, started after the change", Reading: gateway.GoMicro,
			Reads: "does as grpc-resolver does", Change: with(gateway.Resolver), Starts: true,
			Never: map[string]string{"resurrection": forgets, "user-deleted": "whose user is gone does not start",
				"lagging-member": "no member lags any more when it starts",
				"watch-cut":      "it is not there yet when the others are cut off"},
			Advice: "It starts on the ghost, and its watch replays what the list lacks: a moment of errors at each start. " +
				"Where etcd has been compacted in between nothing is replayed, and the ghost stays until the next start. " +
				"Do not start it behind a caching proxy."},
		{Name: "linearizable-list", Title: "a client that lists linearizably on each request", Reading: gateway.EachRequest,
			Reads:  "lists linearizably, as go-zero, Kratos, kitex and Traefik do by default",
			Change: func(t *harness.Topology) { t.Mode = registry.Linearizable },
			Advice: "No cache can fool it. Each of its lists is filed at the proxy all the same and answered to those who " +
				"read serializably: it keeps their entry young, and one that is overtaken by a write leaves them a ghost " +
				"(half-fixed-fleet and write-during-linearizable-read in the matrix)."},
	}
}

// Named finds a client.
func Named(name string) (Client, error) {
	return text.Find("client", name, Clients(), func(c Client) string { return c.Name })
}

// Proxies are what the clients are tried behind: fixes of the matrix.
func Proxies() []string { return []string{"none", "revalidate"} }

// Scenarios are those that tell clients apart, in the order of the matrix.
func Scenarios() ([]scenarios.Scenario, error) {
	var all []scenarios.Scenario
	for _, name := range []string{"deregister-elsewhere", "last-instance", "crash", "direct-delete", "rollout",
		"first-registration", "phantom-restart", "read-during-write", "lagging-member", "member-killed", "compaction-own",
		"compaction-member", "delete-from-key", "resurrection", "watch-cut", "watch-lost", "identity-cached",
		"permission-revoked", "user-deleted"} {
		s, err := scenarios.Named(name)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// never says why a scenario makes no sense for a client, "" where it does.
func (c Client) never(s scenarios.Scenario) (string, error) {
	bare, err := scenarios.FixNamed(Proxies()[0])
	if err != nil {
		return "", err
	}
	if why := scenarios.NotApplicable(s, c.fix(bare), c.Reading); why != "" {
		return why, nil
	}
	return c.Never[s.Name], nil
}

// fix is a client behind such proxies, as the matrix tries it.
func (c Client) fix(proxies scenarios.Fix) scenarios.Fix {
	f := proxies
	f.Apply = func(t *harness.Topology) {
		if proxies.Apply != nil {
			proxies.Apply(t)
		}
		if c.Change != nil {
			c.Change(t)
		}
	}
	return f
}
