package scenarios

import (
	"context"
	"fmt"
	"slices"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness"
	"ghostroute/harness/history"
	"ghostroute/harness/registry"
	"ghostroute/harness/room"
	"ghostroute/harness/service"
)

// Incident tells the incident, step by step, as the team that had it lived through it. Every step asserts what happened
// and why: the error is the first assertion that did not hold.
func Incident(ctx context.Context, out Output, on On) error {
	if on != (On{}) {
		fmt.Fprintf(out, "Members and proxies are etcd %s.\n\n", on.about(BuiltWith().Etcd))
	}
	err := tell(ctx, out, on.topology(harness.Topology{}), incident)
	if _, full := room.Short(err); out.Dir != "" && !full {
		fmt.Fprintf(out, "\nEvery event of it: %s\n", historyIn(out.Dir))
	}
	return err
}

func incident(s *story) {
	gateways := []string{"g1", "g2", "g3"}

	s.chapter("1 All is well", `Three etcd members hold the registry. Three grpc-proxies stand before them, a balancer
		before those. Two instances of the service "hello", version v1, have registered. Three gateways ask the registry where
		"hello" is, each through the proxy that the balancer gave its connection to, and pass requests on. A proxy remembers
		what it answered.`, func() {
		s.readTruth()
		for i, g := range gateways {
			proxy := s.Proxies()[i].Name()
			s.pinned(proxy, g)
			s.look(g).fresh().from(history.Miss, proxy)
			s.look(g).fresh().from(history.Hit, proxy)
		}
	})

	s.chapter("2 Roll to v2", `Two instances of v2 register, then those of v1 deregister and stop: all in good order,
		all through the balancer. The gateways go on asking. A write clears what it touches from the cache of the one proxy it
		passes, and from no other.`, func() {
		s.register("v2-a")
		s.register("v2-b")
		s.pinned("p1", "v2-a")
		s.pinned("p2", "v2-b")
		s.look("g1").fresh().from(history.Miss, "p1")
		s.look("g2").fresh().from(history.Miss, "p2")
		s.look("g3").ghosts("p3").hides("v2-a", "v2-b") // no write passed p3

		s.deregister("v1-a") // through p1
		s.look("g1").fresh().from(history.Miss, "p1")
		s.look("g2").ghosts("p2", "v1-a")
		s.look("g3").ghosts("p3", "v1-a")

		s.deregister("v1-b") // through p2
		s.Tell("v1 is gone, in good order. Three gateways, three stories:")
		s.look("g1").ghosts("p1", "v1-b")
		s.look("g2").fresh().from(history.Miss, "p2")
		s.look("g3").ghosts("p3", "v1-a", "v1-b").hides("v2-a", "v2-b")
		s.Tell("Nothing in the cache ages and nothing tells the proxies. Asking again changes nothing:")
		s.look("g1").ghosts("p1", "v1-b")
		s.look("g3").ghosts("p3", "v1-a", "v1-b").hides("v2-a", "v2-b")
	})

	s.chapter("3 Restart everything but the proxies", `A restarted gateway makes a new connection, and the balancer
		gives that to the next proxy in turn. Whether the gateway is cured depends on where it comes out.`, func() {
		restart := func(g, proxy string) looked {
			s.must(s.Gateway(g).Restart(s.ctx))
			s.pinned(proxy, g)
			return s.look(g)
		}
		restart("g1", "p3").ghosts("p3", "v1-a", "v1-b").hides("v2-a", "v2-b")
		restart("g2", "p1").ghosts("p1", "v1-b")
		restart("g3", "p2").fresh().from(history.Hit, "p2")
		s.Tell("Now the service: v2-b stops, and starts again as v2-c. That is two writes; each clears the one proxy it " +
			"passes.")
		s.deregister("v2-b") // through p2
		s.register("v2-c")   // through p3
		s.pinned("p3", "v2-c")
		s.look("g2").ghosts("p1", "v1-b", "v2-b").hides("v2-c")
		s.look("g3").fresh().from(history.Miss, "p2")
		s.look("g1").fresh().from(history.Miss, "p3")
		s.Tell("It helped the gateways behind p2 and p3, by accident, and gave g2 one more ghost.")
	})

	s.chapter("4 But etcdctl shows the right data", `"etcdctl get --prefix" reads linearizably: the proxy must ask
		etcd. So it always shows the truth, and the proxy keeps that answer. To look for the bug is to heal the proxy that one
		reaches.`, func() {
		s.deregister("v2-c") // through p3
		s.look("g1").fresh().from(history.Miss, "p3")
		s.register("v2-d") // through p1, which no longer has anything to forget but what g2 fills again
		s.look("g2").fresh().from(history.Miss, "p1")
		s.look("g1").ghosts("p3").hides("v2-d")

		etcdctl, err := s.Client(s.ctx, "ops")
		s.must(err)
		s.pinned("p3", "ops")
		got, err := etcdctl.Get(s.ctx, s.ServicePrefix(), clientv3.WithPrefix())
		s.must(err)
		shown := history.Resolve{Endpoints: []history.Endpoint{}}
		for _, kv := range got.Kvs {
			_, endpoints, err := registry.Decode(kv.Value)
			s.must(err)
			shown.Endpoints = append(shown.Endpoints, endpoints...)
		}
		s.assert(shown.Agrees(s.truth), "etcdctl was to show the truth: %v", shown.Endpoints)
		s.Tell("etcdctl, through p3, shows %v: the truth. And g1, which has not moved, is cured:",
			history.IDs(shown.Endpoints))
		healed := s.look("g1").fresh().from(history.Hit, "p3")
		s.assert(healed.resolve.Revision == got.Header.Revision, "it is the answer that etcdctl was given: %s", healed)
		s.look("g3").ghosts("p2", "v2-c").hides("v2-d")
	})

	s.chapter("5 Drop WithSerializable, in one gateway's GetService", `The first cure that was tried: one option less
		in one line. g1 is built anew and comes out at p2, beside g3.`, func() {
		_, err := s.StartGateway(s.ctx, "g1", registry.LinearizableGet)
		s.must(err)
		s.pinned("p2", "g1", "g3")
		s.pinned("p1", "g2")
		s.look("g1").fresh().from(history.Miss, "p2")
		s.Tell("g1 is cured, and its reads heal p2 for its neighbour g3:")
		s.look("g3").fresh().from(history.Hit, "p2")

		s.register("v2-e")   // through p3
		s.deregister("v2-a") // through p1
		s.look("g2").fresh().from(history.Miss, "p1")
		s.deregister("v2-e") // through p3
		s.Tell("But g2 is elsewhere, and g3 is right only as long as g1 was the last to ask. Fewer errors, still errors.")
		s.look("g2").ghosts("p1", "v2-e")
		s.look("g3").ghosts("p2", "v2-a")
		s.look("g1").fresh().from(history.Miss, "p2")
		s.look("g3").fresh().from(history.Hit, "p2")
	})

	s.chapter("6 Weights 1, 0, 0", `The last cure that was tried: the balancer gives every new connection to p1. Those
		that exist stay where they are, and gateways and instances keep theirs for weeks.`, func() {
		s.register("v2-f") // through p1
		s.register("v2-g") // through p2
		s.look("g2").fresh().from(history.Miss, "p1")
		s.look("g3").fresh().from(history.Miss, "p2")
		s.must(s.Balancer.SetWeights(map[string]int{"p2": 0, "p3": 0}))
		s.pinned("p1", "g2")
		s.pinned("p2", "g3", "v2-g")

		s.deregister("v2-f") // through p1
		s.Tell("g3 is still connected to p2, and keeps its ghost:")
		s.look("g2").fresh().from(history.Miss, "p1")
		s.look("g3").ghosts("p2", "v2-f")
		s.deregister("v2-g") // through p2
		s.Tell("v2-g was still connected to p2, and deregistered past the one proxy that is to be read:")
		s.look("g2").ghosts("p1", "v2-g")

		s.Tell("In the end every client has reconnected, and g1 is as shipped again. The next write clears p1, " +
			"and from then on every write does.")
		_, err := s.StartGateway(s.ctx, "g1", registry.Serializable)
		s.must(err)
		for _, g := range gateways[1:] {
			s.must(s.Reconnect(s.ctx, g))
		}
		s.register("v2-h")
		s.pinned("p1", append(slices.Clone(gateways), "v2-d", "v2-h")...)
		for _, g := range gateways {
			s.look(g).fresh()
		}
		s.deregister("v2-h")
		s.Tell("Every gateway sees a deregistration at once. The problem disappeared.")
		s.look("g1").fresh().from(history.Miss, "p1")
		s.look("g2").fresh().from(history.Hit, "p1")
		s.look("g3").fresh().from(history.Hit, "p1")
	})

	s.chapter("7 An instance crashes", `What that cure does not cure. A crashed instance deregisters nothing: its
		lease runs out, and etcd itself deletes the key. No write passes the proxy, and it watches nothing.`, func() {
		_, err := s.Register(s.ctx, "v2-i", func(c *service.Config) { c.TTL = 2 * time.Second })
		s.must(err)
		s.readTruth()
		for _, g := range gateways {
			s.look(g).fresh()
		}
		s.must(s.Instance("v2-i").Crash())
		s.Tell("Two seconds later its lease has ended:")
		s.must(s.Expire(s.ctx, "v2-i"))
		s.readTruth()
		for _, g := range gateways {
			s.look(g).ghosts("p1", "v2-i")
		}
		cached := s.Proxy("p1").Cache(s.ctx)
		s.assert(len(cached) > 0, "p1 was to keep the answer")
		s.Tell("One proxy, one ghost, for ever: nothing will pass that could clear it. See what would: make matrix.")
	})
}
