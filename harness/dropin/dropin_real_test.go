//go:build real

package dropin_test

import (
	"context"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness/balancer"
	"ghostroute/harness/history"
	"ghostroute/harness/link"
)

// What cannot be is refused when it is started, with the reason.
func TestItRefusesAtItsStart(t *testing.T) {
	t.Parallel()
	p, err := build()
	require.NoError(t, err)
	const mode, staleness = "--experimental-kv-cache=", " --experimental-kv-cache-max-staleness="
	for flags, want := range map[string]string{
		mode + "fresh":                                       `cache "fresh": it may be stock, off, revalidate, `,
		mode + "coherent" + staleness + "-1s":                "no answer is newer than its request",
		mode + "consistent" + staleness + "1s":               "consistent has no staleness to bound",
		mode + "off --experimental-kv-cache-max-bytes=1":     "off has no answers to bound",
		mode + "revalidate --experimental-leasing-prefix=l/": "experimental-leasing-prefix answers in",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		said, err := exec.CommandContext(ctx, p.Path, append([]string{"grpc-proxy", "start"},
			strings.Fields(flags)...)...).CombinedOutput()
		require.Error(t, err)
		require.NoError(t, ctx.Err(), "it serves: %s", flags)
		require.Contains(t, string(said), want)
	}
}

// An instance deregisters through one proxy, and a reader asks another: with the stock cache it is told of a ghost, as
// the control, and with no other, but for the time that coherent allows.
func TestNoGhostThroughTheDropIn(t *testing.T) {
	t.Parallel()
	s := start(t)
	const bound = 500 * time.Millisecond
	for _, mode := range []string{"", "stock", "off", "revalidate", "consistent", "coherent"} {
		flags := []string{"--experimental-kv-cache=" + mode}
		switch mode {
		case "":
			flags = nil
		case "coherent":
			flags = append(flags, "--experimental-kv-cache-max-staleness="+bound.String())
		}
		a, b := s.port().Addr(), s.port().Addr()
		procA, procB := s.proxy(s.dropIn, "a"+mode, a, flags...), s.proxy(s.dropIn, "b"+mode, b, flags...)
		writer, reader := s.micro("writer"+mode, a), s.micro("reader"+mode, b)
		s.register(writer, "v1-a", "v1-b")
		keeps := mode == "revalidate" || mode == "consistent" || mode == "coherent"
		if keeps {
			s.keeps(reader, b, "v1-a", "v1-b")
		} else {
			require.Equal(t, []string{"v1-a", "v1-b"}, s.told(reader), mode)
		}

		require.NoError(t, writer.Deregister(instance("v1-a")))
		acked := time.Now()
		truth, err := s.member.Get(s.ctx, keys, clientv3.WithPrefix(), clientv3.WithCountOnly())
		require.NoError(t, err)
		require.EqualValues(t, 1, truth.Count)
		ghost := []string{"v1-a", "v1-b"}
		switch mode {
		case "", "stock":
			require.Equal(t, ghost, s.told(reader), "the control shows no ghost")
		case "coherent":
			for ghosts := true; ghosts; {
				began := time.Now()
				if ghosts = len(s.told(reader)) == 2; ghosts {
					require.Less(t, began.Sub(acked), bound, "the ghost is older than the bound")
				}
			}
		default:
			require.Equal(t, []string{"v1-b"}, s.told(reader), mode)
		}

		got := s.metrics(b)
		switch mode {
		case "", "stock":
			require.Empty(t, got, "etcd's own cache has etcd's own metrics")
		case "off":
			require.Positive(t, got["passed_total off"])
		case "revalidate":
			require.Positive(t, got["confirmed_total"])
			require.Greater(t, got["hits_total"], got["confirmed_total"], "what changed was found and not confirmed")
		default:
			require.EqualValues(t, 1, got["watch_stands"])
			require.Contains(t, got, "fence_age_seconds")
			require.Positive(t, got["hits_total"])
			require.Positive(t, got["barriers_total"])
		}
		if mode != "" && mode != "stock" {
			require.EqualValues(t, 1, got["mode "+mode], got)
		}
		require.NoError(t, writer.Deregister(instance("v1-b")))
		procA.Kill()
		procB.Kill()
	}
}

// While its member stands still the drop-in answers nothing, and when that goes on it answers what is so.
func TestAMemberThatStandsStill(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, mode := range []string{"revalidate", "consistent"} {
		b := s.port().Addr()
		s.proxy(s.dropIn, "b"+mode, b, "--experimental-kv-cache="+mode)
		writer, reader := s.micro("writer"+mode, s.etcd), s.micro("reader"+mode, b)
		s.register(writer, "v1-a", "v1-b")
		s.keeps(reader, b, "v1-a", "v1-b")
		require.NoError(t, writer.Deregister(instance("v1-a")))
		require.NoError(t, s.server.Freeze(s.ctx))
		ctx, cancel := context.WithTimeout(s.ctx, 2*time.Second)
		got, err := reader.Client().Get(ctx, keys, clientv3.WithPrefix(), clientv3.WithSerializable())
		cancel()
		require.NoError(t, s.server.Thaw())
		require.Error(t, err, "%s: who could have confirmed %v?", mode, got)
		require.Equal(t, []string{"v1-b"}, s.told(reader), mode)
		require.NoError(t, writer.Deregister(instance("v1-b")))
	}
}

// A member is killed and started again, and an instance deregisters past the proxy before that has reached it again.
// What was kept before is never told after.
func TestAMemberThatIsRestarted(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, mode := range []string{"revalidate", "consistent"} {
		b := s.port().Addr()
		s.proxy(s.dropIn, "b"+mode, b, "--experimental-kv-cache="+mode)
		writer, reader := s.micro("writer"+mode, s.etcd), s.micro("reader"+mode, b)
		s.register(writer, "v1-a", "v1-b")
		s.keeps(reader, b, "v1-a", "v1-b")
		s.server.Kill()
		s.boot()
		require.Eventually(t, func() bool { return writer.Deregister(instance("v1-a")) == nil },
			time.Minute, time.Millisecond)
		for answered := false; !answered; {
			ids, err := s.tells(reader)
			require.NotContains(t, ids, "v1-a", mode)
			require.NoError(t, s.ctx.Err(), err)
			answered = err == nil
		}
		s.keeps(reader, b, "v1-b")
		require.NoError(t, writer.Deregister(instance("v1-b")))
	}
}

// A thousand readers read without a pause while an instance deregisters through another proxy. Whoever asks after that
// was acknowledged is told so.
func TestAThousandReaders(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, mode := range []string{"revalidate", "consistent"} {
		a, b := s.port().Addr(), s.port().Addr()
		s.proxy(s.dropIn, "a"+mode, a, "--experimental-kv-cache="+mode)
		s.proxy(s.dropIn, "b"+mode, b, "--experimental-kv-cache="+mode)
		writer := s.micro("writer"+mode, a)
		s.register(writer, "v1-a", "v1-b")
		s.keeps(s.micro("first"+mode, b), b, "v1-a", "v1-b")
		var gone atomic.Bool
		var reads, ghosts atomic.Int64
		var all sync.WaitGroup
		failed := make(chan error, 1000)
		for range 20 { // connections
			c := s.client(b)
			for range 50 {
				all.Go(func() {
					for asked := false; !asked; {
						asked = gone.Load()
						r, err := c.Get(s.ctx, keys, clientv3.WithPrefix(), clientv3.WithSerializable())
						if err != nil {
							failed <- err
							return
						}
						reads.Add(1)
						if asked && len(r.Kvs) != 1 {
							ghosts.Add(1)
						}
					}
				})
			}
		}
		require.Eventually(t, func() bool { return reads.Load() > 1000 }, time.Minute, time.Millisecond)
		require.NoError(t, writer.Deregister(instance("v1-a")))
		gone.Store(true)
		all.Wait()
		require.Empty(t, failed, mode)
		require.Zero(t, ghosts.Load(), mode)
		require.NoError(t, writer.Deregister(instance("v1-b")))
	}
}

// The way to the member goes black before an instance deregisters, so nothing tells the proxy. Until the bound is over
// it may name the ghost; from then on it fails, and once the way is mended it tells the truth.
func TestCoherentBehindABlackHole(t *testing.T) {
	t.Parallel()
	s := start(t)
	const bound = 500 * time.Millisecond
	way, err := link.Listen("p→m1", link.To("tcp", s.etcd))
	require.NoError(t, err)
	defer func() { require.NoError(t, way.Close()) }()
	addr := s.port().Addr()
	s.proxyOf(way.Addr(), s.dropIn, "p", addr, "--experimental-kv-cache=coherent",
		"--experimental-kv-cache-max-staleness="+bound.String())
	writer, reader := s.micro("writer", s.etcd), s.micro("reader", addr)
	s.register(writer, "v1-a", "v1-b")
	s.keeps(reader, addr, "v1-a", "v1-b")
	way.Blackhole(link.Both)
	require.NoError(t, writer.Deregister(instance("v1-a")))
	acked := time.Now()
	for failed := false; !failed; {
		began := time.Now()
		ctx, cancel := context.WithTimeout(s.ctx, time.Second)
		got, err := reader.Client().Get(ctx, keys, clientv3.WithPrefix(), clientv3.WithSerializable())
		cancel()
		if failed = err != nil; !failed {
			require.Less(t, began.Sub(acked), bound, "it answers what nobody can have told it: %v", got.Kvs)
		}
	}
	way.Mend()
	require.Eventually(t, func() bool {
		ids, err := s.tells(reader)
		return err == nil && slices.Equal(ids, []string{"v1-b"})
	}, time.Minute, 10*time.Millisecond)
}

// Stock and drop-in stand side by side behind one balancer. Whoever is behind the drop-in is told the truth whichever
// proxy a write passes; whoever is behind stock is not, until that is exchanged, and again when it is exchanged back.
func TestSideBySideWithStock(t *testing.T) {
	t.Parallel()
	s := start(t)
	p1, p2 := s.port().Addr(), s.port().Addr()
	first := s.proxy(s.release, "p1", p1)
	s.proxy(s.dropIn, "p2", p2, "--experimental-kv-cache=revalidate")
	lvs, err := balancer.New(history.New(), []balancer.Backend{{Name: "p1", Addr: p1, Weight: 1}, {Name: "p2", Addr: p2}})
	require.NoError(t, err)
	defer func() { require.NoError(t, lvs.Close()) }()
	// by is a client whose connection the balancer gives to a proxy
	by := func(name, proxy string) string {
		weights := map[string]int{"p1": 0, "p2": 0}
		weights[proxy] = 1
		require.NoError(t, lvs.SetWeights(weights))
		vip, err := lvs.VIP(name)
		require.NoError(t, err)
		return vip.Addr()
	}
	for i, now := range []struct {
		p1    string
		ghost bool // at p1, of what deregistered through p2
	}{{"stock", true}, {"drop-in", false}, {"stock", true}} {
		if i > 0 {
			first.Kill()
			program, flags := s.release, []string(nil)
			if now.p1 == "drop-in" {
				program, flags = s.dropIn, []string{"--experimental-kv-cache=revalidate"}
			}
			first = s.proxy(program, "p1", p1, flags...)
		}
		name := string(rune('a' + i))
		one := s.micro("one"+name, by("one"+name, "p1"))
		require.NoError(t, one.Connect(s.ctx))
		other := s.micro("other"+name, by("other"+name, "p2"))
		require.NoError(t, other.Connect(s.ctx))
		s.register(one, "v1-a", "v1-b", "v1-c")
		all := []string{"v1-a", "v1-b", "v1-c"}
		require.Equal(t, all, s.told(one))
		require.Equal(t, all, s.told(other))

		require.NoError(t, one.Deregister(instance("v1-a")))
		require.Equal(t, []string{"v1-b", "v1-c"}, s.told(other), "written through %s, read through the drop-in", now.p1)
		require.Equal(t, []string{"v1-b", "v1-c"}, s.told(one))
		require.NoError(t, other.Deregister(instance("v1-b")))
		require.Equal(t, []string{"v1-c"}, s.told(other))
		if now.ghost {
			require.Equal(t, []string{"v1-b", "v1-c"}, s.told(one), "the control shows no ghost")
		} else {
			require.Equal(t, []string{"v1-c"}, s.told(one), "written through p2, read through p1, both the drop-in")
		}
		require.NoError(t, one.Deregister(instance("v1-c")))
		require.Equal(t, map[string][]string{"one" + name: {"p1"}, "other" + name: {"p2"}}, lvs.Pinned())
		require.NoError(t, one.Close())
		require.NoError(t, other.Close())
	}
}
