package balancer_test

import (
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/balancer"
	"ghostroute/harness/history"
)

func TestVIPsShareOneSchedule(t *testing.T) {
	t.Parallel()
	b, h, _ := begin(t, 2, 1)
	for n, want := range []struct{ client, proxy string }{
		{"g1", "p1"}, {"g2", "p1"}, {"g3", "p2"}, {"g3", "p1"}, {"g1", "p1"}, {"v1-a", "p2"},
	} {
		conn := goes(t, b, want.client, want.proxy)
		opened := history.Conn{Op: "open", Client: want.client, Proxy: want.proxy, N: n + 1, Detail: "from " + conn.from}
		require.Equal(t, opened, conns(h)[n])
		require.Equal(t, want.client, b.ClientOf(conn.proxy, conn.from))
	}
	require.Equal(t, map[string][]string{"g1": {"p1", "p1"}, "g2": {"p1"}, "g3": {"p2", "p1"}, "v1-a": {"p2"}}, b.Pinned())
	require.Empty(t, b.ClientOf("p1", "127.0.0.1:1"))
}

func TestClosedConnectionIsForgottenButStillAttributed(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, begin begins) {
		b, h, _ := begin(t, 1)
		conn := goes(t, b, "g1", "p1")
		require.NoError(t, conn.Close())
		closed, err := h.Wait(t.Context(), 0, func(e history.Event) bool { return e.Conn.Op == "close" })
		require.NoError(t, err)
		require.Equal(t, "lb", closed.Who)
		require.Equal(t, history.Conn{Op: "close", Client: "g1", Proxy: "p1", N: 1}, *closed.Conn)
		require.Empty(t, b.Pinned())
		require.Equal(t, "g1", b.ClientOf(conn.proxy, conn.from))
	})
}

// TestWeightsOneZeroZero is step 6 of the incident: who is connected stays where it is, who comes anew goes to p1.
func TestWeightsOneZeroZero(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, begin begins) {
		b, h, _ := begin(t, 1, 1, 1)
		old := []*given{goes(t, b, "g1", "p1"), goes(t, b, "g2", "p2"), goes(t, b, "g3", "p3")}
		require.NoError(t, b.SetWeights(map[string]int{"p2": 0, "p3": 0}))
		require.Equal(t, history.Conn{Op: "weights", Detail: "p1 1, p2 0, p3 0"}, conns(h)[3])
		for _, client := range []string{"g1", "g2", "g3"} {
			goes(t, b, client, "p1")
		}
		for _, conn := range old {
			alive(t, conn)
		}
		require.Equal(t, map[string][]string{"g1": {"p1", "p1"}, "g2": {"p2", "p1"}, "g3": {"p3", "p1"}}, b.Pinned())

		n, err := b.Drain("p3")
		require.NoError(t, err)
		require.Equal(t, 1, n)
		require.Equal(t, []string{"p1"}, b.Pinned()["g3"], "when Drain returns nobody is pinned there")
		requireEnded(t, old[2])
		alive(t, old[1])
		require.Equal(t, []history.Conn{
			{Op: "drain", Proxy: "p3", Detail: "connections closed: 1"},
			{Op: "close", Client: "g3", Proxy: "p3", N: 3},
		}, conns(h)[7:])
	})
}

func TestDeadBackendIsSkippedUntilItIsBack(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, begin begins) {
		b, h, behind := begin(t, 1, 1, 1)
		behind[1].stop()
		for _, want := range []string{"p1", "p3", "p1", "p3"} {
			goes(t, b, "g1", want)
		}
		behind[1].start(t)
		for _, want := range []string{"p1", "p2", "p3"} {
			goes(t, b, "g1", want)
		}
		var refused []history.Conn
		for _, c := range vaguely(conns(h)) {
			if c.Op == "refuse" {
				refused = append(refused, c)
			}
		}
		require.Equal(t, []history.Conn{
			{Op: "refuse", Client: "g1", Proxy: "p2", N: 2, Detail: "why"},
			{Op: "refuse", Client: "g1", Proxy: "p2", N: 4, Detail: "why"},
		}, refused)
	})
}

func TestNobodyTakesIt(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, begin begins) {
		b, h, behind := begin(t, 0, 1)
		behind[1].stop()
		goes(t, b, "g1", "")
		require.NoError(t, b.SetWeights(map[string]int{"p2": 0}))
		goes(t, b, "g1", "")
		require.Equal(t, []history.Conn{
			{Op: "refuse", Client: "g1", Proxy: "p2", N: 1, Detail: "why"},
			{Op: "close", Client: "g1", N: 1,
				Detail: "no backend takes connection 1, of g1: p1 has weight 0, p2 refused (why)"},
			{Op: "weights", Detail: "p1 0, p2 0"},
			{Op: "close", Client: "g1", N: 2, Detail: "no backend takes connection 2, of g1: p1 has weight 0, p2 has weight 0"},
		}, vaguely(conns(h)))
		require.Empty(t, b.Pinned())
	})
}

func TestSticky(t *testing.T) {
	t.Parallel()
	b, _, behind := begin(t, 1, 1, 1)
	require.NoError(t, b.SetSticky(true))
	goes(t, b, "g1", "p1")
	goes(t, b, "g1", "p1")
	goes(t, b, "g2", "p2") // g1's second took no place in the schedule
	goes(t, b, "g1", "p1")

	behind[0].stop()
	goes(t, b, "g1", "p3") // its proxy is dead: the schedule goes on
	behind[0].start(t)
	goes(t, b, "g1", "p3") // and there it stays

	require.NoError(t, b.SetWeights(map[string]int{"p3": 0}))
	goes(t, b, "g1", "p1")
	goes(t, b, "g1", "p1")

	require.NoError(t, b.SetSticky(false))
	goes(t, b, "g1", "p2")
	goes(t, b, "g1", "p1")
}

func TestFaultBetweenClientAndBalancerPlacesNothing(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, begin begins) {
		b, h, _ := begin(t, 1, 1)
		vip, err := b.VIP("g1")
		require.NoError(t, err)
		require.NoError(t, vip.Cut())
		goes(t, b, "g1", "")
		require.Empty(t, h.Events())
		vip.Mend()
		conn := goes(t, b, "g1", "p1")

		require.Equal(t, 1, vip.Drop())
		requireReset(t, conn)
		require.Empty(t, b.Pinned(), "when Drop returns the balancer knows")
	})
}

// TestManyAtOnce: however many connections come together, each gets the schedule's next place.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	b, h, _ := begin(t, 3, 1, 2)
	const each = 20
	var clients sync.WaitGroup
	for _, client := range []string{"g1", "g2", "g3"} {
		for range each {
			clients.Go(func() {
				conn, err := tryConnect(b, client)
				if conn == nil {
					t.Errorf("%s got no connection though every backend takes them: %v", client, err)
					return
				}
				defer conn.Close()
				if !slices.Contains(b.Pinned()[client], conn.proxy) {
					t.Errorf("%s has a connection at %s and is not pinned there", client, conn.proxy)
				}
			})
		}
	}
	clients.Wait()
	cycle := []string{"p1", "p1", "p3", "p1", "p2", "p3"}
	n := 0
	for _, c := range conns(h) {
		if c.Op == "open" {
			require.Equal(t, cycle[n%len(cycle)], c.Proxy)
			n++
			require.Equal(t, n, c.N)
		}
	}
	require.Equal(t, 3*each, n)
}

// TestDrainAfterWeightsLeavesNobody: a connection that is being placed while the weights change and the proxy is
// drained does not slip between the two.
func TestDrainAfterWeightsLeavesNobody(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, begin begins) {
		b, h, _ := begin(t, 1, 1)
		stop := make(chan struct{}) // closed when the clients may go
		var clients sync.WaitGroup
		for _, client := range []string{"g1", "g2", "g3"} {
			clients.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						if conn, err := tryConnect(b, client); err != nil {
							t.Errorf("%s was neither given a proxy nor reset: %v", client, err)
							return
						} else if conn != nil {
							_ = conn.Close()
						}
					}
				}
			})
		}
		for range 20 {
			begun := h.Len()
			_, err := h.Wait(t.Context(), begun, func(e history.Event) bool {
				return e.Conn.Op == "open" && e.Conn.Proxy == "p2"
			})
			require.NoError(t, err)
			require.NoError(t, b.SetWeights(map[string]int{"p2": 0}))
			_, err = b.Drain("p2")
			require.NoError(t, err)
			for client, pins := range b.Pinned() {
				require.NotContains(t, pins, "p2", client)
			}
			require.NoError(t, b.SetWeights(map[string]int{"p2": 1}))
		}
		close(stop)
		clients.Wait()
	})
}

func TestWhatCannotBe(t *testing.T) {
	t.Parallel()
	h := history.New()
	_, err := balancer.New(h, []balancer.Backend{{Name: "p1"}, {Name: "p1"}})
	require.ErrorContains(t, err, `two are named "p1"`)
	_, err = balancer.New(h, []balancer.Backend{{Name: "p1", Weight: -1}})
	require.ErrorContains(t, err, "the weight of p1 cannot be -1: it may be 0 to 1000")

	b, h, _ := begin(t, 1, 1)
	require.ErrorContains(t, b.SetWeights(map[string]int{"p3": 1}), `the balancer has no backend "p3": it has p1, p2`)
	require.ErrorContains(t, b.SetWeights(map[string]int{"p1": 0, "p2": 1001}), "the weight of p2 cannot be 1001")
	_, err = b.Drain("p3")
	require.ErrorContains(t, err, `no backend "p3"`)
	require.Empty(t, h.Events(), "what is refused changes nothing")
	goes(t, b, "g1", "p1")
}

func TestClose(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, begin begins) {
		b, _, _ := begin(t, 1)
		conn := goes(t, b, "g1", "p1")
		one, err := b.VIP("g1")
		require.NoError(t, err)
		again, err := b.VIP("g1")
		require.NoError(t, err)
		require.Same(t, one, again)
		require.Equal(t, "g1→vip", one.Name())

		require.NoError(t, one.Close())
		requireReset(t, conn)
		next, err := b.VIP("g1")
		require.NoError(t, err)
		require.NotSame(t, one, next)

		require.NoError(t, b.Close())
		require.NoError(t, b.Close())
		_, err = b.VIP("g1")
		require.ErrorContains(t, err, "the balancer gives g1 no VIP: it is closed")
	})
}
