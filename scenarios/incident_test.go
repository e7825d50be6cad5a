package scenarios

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness"
	"ghostroute/harness/gateway"
	"ghostroute/harness/history"
	"ghostroute/harness/registry"
	"ghostroute/harness/service"
)

// TestIncident is the incident, step by step, as the team that had it lived through it. Every step asserts what happened and why.
func TestIncident(t *testing.T) {
	t.Parallel()
	s := tell(t, harness.Topology{})
	everybody := []string{"g1", "g2", "g3"}

	s.chapter("1 All is well", `Three etcd members hold the registry. Three grpc-proxies stand before them, a balancer before those. Two
		instances of the service "hello", version v1, have registered. Three gateways ask the registry where "hello" is, each through the
		proxy that the balancer gave its connection to, and pass requests on. A proxy remembers what it answered.`, func(s *story) {
		s.settle()
		for i, g := range everybody {
			proxy := s.Proxies()[i].Name()
			require.Equal(s.t, proxy, s.PinnedTo(g))
			s.look(g).fresh().from(history.Miss, proxy)
			s.look(g).fresh().from(history.Hit, proxy)
		}
	})

	s.chapter("2 Roll to v2", `Two instances of v2 register, then those of v1 deregister and stop: all in good order, all through the
		balancer. The gateways go on asking. A write clears what it touches from the cache of the one proxy it passes, and from no other.`, func(s *story) {
		s.register("v2-a")
		s.register("v2-b")
		require.Equal(s.t, []string{"p1", "p2"}, []string{s.PinnedTo("v2-a"), s.PinnedTo("v2-b")})
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
		s.Tell("Nothing in the cache ages and nobody tells the proxies. Asking again changes nothing:")
		s.look("g1").ghosts("p1", "v1-b")
		s.look("g3").ghosts("p3", "v1-a", "v1-b").hides("v2-a", "v2-b")
	})

	s.chapter("3 Restart everything but the proxies", `A restarted gateway makes a new connection, and the balancer gives that to the next
		proxy in turn. Whether the gateway is cured depends on where it comes out.`, func(s *story) {
		restart := func(g, proxy string) sight {
			require.NoError(s.t, s.Gateway(g).Restart(s.ctx))
			require.Equal(s.t, proxy, s.PinnedTo(g))
			return s.look(g)
		}
		restart("g1", "p3").ghosts("p3", "v1-a", "v1-b").hides("v2-a", "v2-b")
		restart("g2", "p1").ghosts("p1", "v1-b")
		restart("g3", "p2").fresh().from(history.Hit, "p2")
		s.Tell("Now the service: v2-b stops, and starts again as v2-c. That is two writes; each clears the one proxy it passes.")
		s.deregister("v2-b") // through p2
		s.register("v2-c")   // through p3
		require.Equal(s.t, "p3", s.PinnedTo("v2-c"))
		s.look("g2").ghosts("p1", "v1-b", "v2-b").hides("v2-c")
		s.look("g3").fresh().from(history.Miss, "p2")
		s.look("g1").fresh().from(history.Miss, "p3")
		s.Tell("It helped whoever was behind p2 and p3, by accident, and gave g2 one more ghost.")
	})

	s.chapter("4 But etcdctl shows the right data", `"etcdctl get --prefix" reads linearizably: the proxy must ask etcd. So it always shows
		the truth, and the proxy keeps that answer. Whoever looks for the bug heals the proxy he happens to reach.`, func(s *story) {
		s.deregister("v2-c") // through p3
		s.look("g1").fresh().from(history.Miss, "p3")
		s.register("v2-d") // through p1, which no longer has anything to forget but what g2 fills again
		s.look("g2").fresh().from(history.Miss, "p1")
		s.look("g1").ghosts("p3").hides("v2-d")

		etcdctl, err := s.Client(s.ctx, "ops")
		require.NoError(s.t, err)
		require.Equal(s.t, "p3", s.PinnedTo("ops"))
		got, err := etcdctl.Get(s.ctx, s.ServicePrefix(), clientv3.WithPrefix())
		require.NoError(s.t, err)
		shown := history.Resolve{Endpoints: []history.Endpoint{}}
		for _, kv := range got.Kvs {
			_, endpoints, err := registry.Decode(kv.Value)
			require.NoError(s.t, err)
			shown.Endpoints = append(shown.Endpoints, endpoints...)
		}
		require.True(s.t, harness.Agrees(shown, s.truth), "etcdctl was to show the truth: %v", shown.Endpoints)
		s.Tell("etcdctl, through p3, shows %v: the truth. And g1, which has not moved, is cured:", ids(shown.Endpoints))
		healed := s.look("g1").fresh().from(history.Hit, "p3")
		require.Equal(s.t, got.Header.Revision, healed.resolve.Revision, "it is the answer that etcdctl was given")
		s.look("g3").ghosts("p2", "v2-c").hides("v2-d")
	})

	s.chapter("5 Drop WithSerializable, in one gateway's GetService", `The first cure that was tried: one option less in one line. g1 is built
		anew and comes out at p2, beside g3.`, func(s *story) {
		_, err := s.StartGateway(s.ctx, "g1", registry.LinearizableGet)
		require.NoError(s.t, err)
		require.Equal(s.t, []string{"p2", "p1", "p2"}, []string{s.PinnedTo("g1"), s.PinnedTo("g2"), s.PinnedTo("g3")})
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

	s.chapter("6 Weights 1, 0, 0", `The last cure that was tried: the balancer gives every new connection to p1. Those that exist stay where
		they are, and gateways and instances keep theirs for weeks.`, func(s *story) {
		s.register("v2-f") // through p1
		s.register("v2-g") // through p2
		s.look("g2").fresh().from(history.Miss, "p1")
		s.look("g3").fresh().from(history.Miss, "p2")
		require.NoError(s.t, s.Balancer.SetWeights(map[string]int{"p2": 0, "p3": 0}))
		require.Equal(s.t, []string{"p1", "p2", "p2"}, []string{s.PinnedTo("g2"), s.PinnedTo("g3"), s.PinnedTo("v2-g")})

		s.deregister("v2-f") // through p1
		s.Tell("g3 is still connected to p2, and keeps its ghost:")
		s.look("g2").fresh().from(history.Miss, "p1")
		s.look("g3").ghosts("p2", "v2-f")
		s.deregister("v2-g") // through p2
		s.Tell("v2-g was still connected to p2, and deregistered past the one proxy that is to be read:")
		s.look("g2").ghosts("p1", "v2-g")

		s.Tell("In the end everybody has reconnected, and g1 is as shipped again. The next write clears p1, and from then on every write does.")
		_, err := s.StartGateway(s.ctx, "g1", registry.Serializable)
		require.NoError(s.t, err)
		for _, g := range everybody[1:] {
			require.NoError(s.t, s.Reconnect(s.ctx, g))
		}
		s.register("v2-h")
		for _, client := range append(everybody, "v2-d", "v2-h") {
			require.Equal(s.t, "p1", s.PinnedTo(client), client)
		}
		for _, g := range everybody {
			s.look(g).fresh()
		}
		s.deregister("v2-h")
		s.Tell("A deregistration is seen at once, by everybody. The problem disappeared.")
		s.look("g1").fresh().from(history.Miss, "p1")
		s.look("g2").fresh().from(history.Hit, "p1")
		s.look("g3").fresh().from(history.Hit, "p1")
	})

	s.chapter("7 An instance crashes", `What that cure does not cure. A crashed instance deregisters nothing: its lease runs out, and etcd itself
		deletes the key. No write passes the proxy, and it watches nothing.`, func(s *story) {
		_, err := s.Register(s.ctx, "v2-i", func(c *service.Config) { c.TTL = 2 * time.Second })
		require.NoError(s.t, err)
		s.settle()
		for _, g := range everybody {
			s.look(g).fresh()
		}
		require.NoError(s.t, s.Instance("v2-i").Crash())
		s.Tell("Two seconds later its lease has ended:")
		s.truth, err = s.WaitGone(s.ctx, "v2-i")
		require.NoError(s.t, err)
		for _, g := range everybody {
			s.look(g).ghosts("p1", "v2-i")
		}
		cached := s.Proxy("p1").Cache(s.ctx)
		require.NotEmpty(s.t, cached, "p1 keeps the answer")
		s.Tell("One proxy, one ghost, for ever: nothing will pass that could clear it. See what would: make matrix.")
	})
}

// TestIncidentNatural is step 2 with go-micro's own gateway as it ships: its cache follows a watch, so nothing is wrong at first; then its
// TTL lapses, and it reads the ghost again. Only the TTL is shortened, from a minute.
func TestIncidentNatural(t *testing.T) {
	t.Parallel()
	s := tell(t, harness.Topology{Reading: gateway.GoMicro, CacheTTL: 500 * time.Millisecond})
	everybody := []string{"g1", "g2", "g3"}

	s.chapter("1 All is well", `The gateways are go-micro's own: they remember the registry for a while and follow a watch on it meanwhile. Their
		memory is good for half a second here, for a minute as shipped.`, func(s *story) {
		require.NoError(s.t, s.Prime(s.ctx))
		s.settle()
		for _, g := range everybody {
			s.look(g).fresh()
		}
	})

	s.chapter("2 v1-a deregisters through p1", `The watch tells every gateway; nobody is wrong.`, func(s *story) {
		s.register("v2-a")
		require.NoError(s.t, s.Prime(s.ctx)) // everybody knows v2-a, and listens
		s.deregister("v1-a")
		require.Equal(s.t, "p2", s.PinnedTo("g2"))
		require.NoError(s.t, harness.Until(s.ctx, func() bool { // the watch is delivered when it is delivered
			return harness.Agrees(s.Gateway("g2").Resolve(s.ctx, s.Topology.Service), s.truth)
		}), "the watch was to tell g2 that v1-a is gone")
		s.look("g2").fresh()
	})

	s.chapter("3 A minute later", `The gateways' memory lapses. They ask the registry again, through their proxies; p1 forgot when v1-a
		deregistered through it, p2 and p3 did not. An instance that was gone is back.`, func(s *story) {
		for _, g := range []string{"g2", "g3"} {
			require.NoError(s.t, harness.Until(s.ctx, func() bool {
				return !harness.Agrees(s.Gateway(g).Resolve(s.ctx, s.Topology.Service), s.truth)
			}), "%s was to read the ghost again once its cache's TTL had lapsed", g)
			// What it now remembers it read out of its proxy's cache.
			read, ok := s.Gateway(g).Registry().LastRead(s.Topology.Service)
			require.True(s.t, ok)
			require.Equal(s.t, history.Hit, read.Source, "%s read its ghost out of a proxy's cache", g)
			require.Equal(s.t, s.PinnedTo(g), read.Via)
			require.Less(s.t, read.Revision, s.truth.Revision)
			_, requests := s.Look(s.ctx, g)
			require.Contains(s.t, statuses(requests), "v1-a 502")
		}
		require.NoError(s.t, harness.Until(s.ctx, func() bool { // g1's TTL has lapsed too
			s.Gateway("g1").Resolve(s.ctx, s.Topology.Service)
			read, ok := s.Gateway("g1").Registry().LastRead(s.Topology.Service)
			return ok && read.Revision >= s.truth.Revision
		}), "g1 was to read again")
		s.look("g1").fresh()
	})
}
