package scenarios

import (
	"testing"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness"
	"ghostroute/harness/history"
	"ghostroute/harness/registry"
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
}
