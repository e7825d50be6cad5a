package scenarios

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ghostroute/harness"
	"ghostroute/harness/gateway"
	"ghostroute/harness/history"
	"ghostroute/harness/wait"
)

func TestIncident(t *testing.T) {
	t.Parallel()
	var told strings.Builder
	steady(lasting(t), t, func(ctx context.Context) error {
		told.Reset()
		return Incident(ctx, Output{Writer: io.MultiWriter(t.Output(), &told), Dir: t.ArtifactDir()}, runsOn(t))
	})
	requireInReadme(t, told.String())
}

// TestIncidentNatural is step 2 with go-micro's own gateway as it ships: its cache follows a watch, so nothing is wrong
// at first; then its TTL lapses, and it reads the ghost again. Only the TTL is shortened, from a minute.
func TestIncidentNatural(t *testing.T) {
	t.Parallel()
	steady(lasting(t), t, func(ctx context.Context) error {
		return tell(ctx, Output{Writer: t.Output(), Dir: t.ArtifactDir()},
			runsOn(t).topology(harness.Topology{Reading: gateway.GoMicro, CacheTTL: 3 * time.Second}), natural)
	})
}

func natural(s *story) {
	gateways := []string{"g1", "g2", "g3"}

	s.chapter("1 All is well", `The gateways are go-micro's own: they remember the registry for a while and follow a
		watch on it meanwhile. Their memory is good for three seconds here, for a minute as shipped.`, func() {
		s.must(s.Prime(s.ctx))
		s.readTruth()
		for _, g := range gateways {
			s.look(g).fresh()
		}
	})

	s.chapter("2 v1-a deregisters through p1", `The watch tells every gateway; none is wrong.`, func() {
		s.register("v2-a")
		s.must(s.ScrubOnce(s.ctx)) // who has forgotten by now, as on a busy machine, is told no less
		s.must(s.Prime(s.ctx))     // every gateway knows v2-a, and watches
		s.deregister("v1-a")
		s.pinned("p2", "g2")
		s.must(wait.Until(s.ctx, "the watch was to tell g2 that v1-a is gone", func() bool {
			return s.Gateway("g2").Resolve(s.ctx, s.Topology.Service).Agrees(s.truth)
		}))
		s.look("g2").fresh()
	})

	s.chapter("3 A minute later", `The gateways' memory lapses. They ask the registry again, through their proxies; p1
		forgot when v1-a deregistered through it, p2 and p3 did not. An instance that was gone is back.`, func() {
		for _, g := range []string{"g2", "g3"} {
			s.must(wait.Until(s.ctx, g+" was to read the ghost again once its cache's TTL had lapsed", func() bool {
				return !s.Gateway(g).Resolve(s.ctx, s.Topology.Service).Agrees(s.truth)
			}))
			// What it now remembers it read out of its proxy's cache.
			read, ok := s.Gateway(g).Registry().LastRead(s.Topology.Service)
			s.assert(ok && read.Source == history.Hit, "%s was to read its ghost out of a proxy's cache: %+v", g, read)
			s.assert(read.Via == s.PinnedTo(g) && read.Revision < s.truth.Revision,
				"%s was to read an old answer at its proxy: %+v", g, read)
			_, requests := s.Look(s.ctx, g)
			s.assert(slices.ContainsFunc(requests,
				func(q history.Request) bool { return q.Target == "v1-a" && q.Status == 502 }),
				"%s was to call the ghost in vain: %+v", g, requests)
		}
		s.must(wait.Until(s.ctx, "g1 was to read again, its TTL lapsed too", func() bool {
			s.Gateway("g1").Resolve(s.ctx, s.Topology.Service)
			read, ok := s.Gateway("g1").Registry().LastRead(s.Topology.Service)
			return ok && read.Revision >= s.truth.Revision
		}))
		s.look("g1").fresh()
	})
}

// TestAStoryBreaksOff has the story end at the first assertion that does not hold, with the chapter it stands in.
func TestAStoryBreaksOff(t *testing.T) {
	t.Parallel()
	var said strings.Builder
	err := tell(begin(t), Output{Writer: &said}, harness.Topology{Members: 1}, func(s *story) {
		s.chapter("1 All is well", "", func() { s.readTruth(); s.look("g1").ghosts("p1", "v1-a") })
		s.chapter("2 Never told", "", func() {})
	})
	require.ErrorContains(t, err,
		`the story broke off at "1 All is well": the ghosts [v1-a] were to be seen: g1 was told [v1-a v1-b], miss at p1`)
	require.NotContains(t, said.String(), "Never told")
}
