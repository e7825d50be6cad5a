package scenarios

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness"
	"ghostroute/harness/history"
	"ghostroute/harness/telling"
)

// story is a bench whose history is told while it happens, and the words to assert with. A test that uses it reads like the story.
type story struct {
	*harness.Bench
	t     *testing.T
	ctx   context.Context
	truth history.Truth // as of the last settle
}

// tell starts a bench and tells what happens on it, on the test's output.
func tell(t *testing.T, top harness.Topology) *story {
	ctx, cancel := harness.Context(t)
	t.Cleanup(cancel)
	t.Cleanup(func() { // when the bench has ended, and saved it
		fmt.Fprintf(t.Output(), "\nEvery event of it: %s\n", filepath.Join(t.ArtifactDir(), "history.jsonl"))
	})
	teller := telling.New(t.Output(), telling.Colour(os.Stdout))
	s := &story{t: t, ctx: ctx, Bench: harness.Start(t, top, harness.Following(teller.Tell))}
	return s
}

// chapter is one step of the story: a subtest with a title. What comes after a step that failed would be another story, so it is not told.
func (s *story) chapter(title, text string, f func(s *story)) {
	s.t.Helper()
	if s.t.Failed() {
		return
	}
	name, _, _ := strings.Cut(title, ":")
	ok := s.t.Run(name, func(t *testing.T) {
		s.History.Add(history.Event{Who: "bench", Step: &history.Step{Title: title, Text: text}})
		sub := *s
		sub.t = t
		f(&sub)
		s.truth = sub.truth
	})
	if !ok {
		s.t.Errorf("the story broke off at %q", title)
	}
}

// settle waits until etcd's members agree, and remembers what they agree on.
func (s *story) settle() {
	s.t.Helper()
	truth, err := s.Settle(s.ctx)
	require.NoError(s.t, err)
	s.truth = truth
}

func (s *story) register(id string) {
	s.t.Helper()
	_, err := s.Register(s.ctx, id)
	require.NoError(s.t, err)
	s.settle()
}

func (s *story) deregister(id string) {
	s.t.Helper()
	require.NoError(s.t, s.Deregister(s.ctx, id))
	s.settle()
}

// sight is what a gateway was told, where that came from, and what became of a call to each endpoint.
type sight struct {
	s        *story
	gateway  string
	resolve  history.Resolve
	requests []history.Request
}

func (s *story) look(gateway string) sight {
	s.t.Helper()
	resolve, requests := s.Look(s.ctx, gateway)
	require.Empty(s.t, resolve.Err, "%s could not read the registry", gateway)
	return sight{s, gateway, resolve, requests}
}

func (l sight) String() string {
	r := l.resolve
	return fmt.Sprintf("%s through %s: %v, %s of revision %d; truth at revision %d is %v",
		l.gateway, r.Via, ids(r.Endpoints), r.Source, r.Revision, l.s.truth.Revision, ids(l.s.truth.Endpoints))
}

// fresh asserts that the gateway was told the truth and that whoever it was told of answered for himself.
func (l sight) fresh() sight {
	l.s.t.Helper()
	require.True(l.s.t, harness.Agrees(l.resolve, l.s.truth), "this gateway was to be told the truth: %s", l)
	for _, q := range l.requests {
		require.Equal(l.s.t, 200, q.Status, "%s called %s: %s%s", l.gateway, q.Target, q.Log, q.Err)
		require.Equal(l.s.t, l.s.Topology.Service, q.Answered, "%s was answered by another service at %s", l.gateway, q.Dialled)
		require.Equal(l.s.t, q.Target, q.Instance, "%s was answered by another instance at %s", l.gateway, q.Dialled)
	}
	return l
}

// ghosts asserts that the gateway was told of exactly these instances that are gone, out of that proxy's cache and at an older revision than
// truth's; that each call to one of them was really refused, answered 502 and logged; and that the others answered.
func (l sight) ghosts(proxy string, gone ...string) sight {
	l.s.t.Helper()
	t := l.s.t
	require.Equal(t, gone, harness.Ghosts(l.resolve, l.s.truth), "these ghosts were to be seen: %s", l)
	l.from(history.Hit, proxy)
	require.Less(t, l.resolve.Revision, l.s.truth.Revision, "a ghost comes from an entry older than truth: %s", l)
	for _, q := range l.requests {
		if !contains(gone, q.Target) {
			require.Equal(t, 200, q.Status, "%s called %s: %s%s", l.gateway, q.Target, q.Log, q.Err)
			continue
		}
		require.Equal(t, 502, q.Status, "%s called the ghost %s", l.gateway, q.Target)
		require.Regexp(t, `^http: proxy error: dial tcp `+q.Dialled+`: connect: connection refused$`, q.Log)
	}
	return l
}

// hides asserts that the gateway was not told of exactly these instances, which truth has.
func (l sight) hides(present ...string) sight {
	l.s.t.Helper()
	require.Equal(l.s.t, present, harness.Hidden(l.resolve, l.s.truth), "these instances were to be hidden: %s", l)
	return l
}

// from asserts where the answer came from.
func (l sight) from(source history.Source, proxy string) sight {
	l.s.t.Helper()
	require.Equal(l.s.t, []string{string(source), proxy}, []string{string(l.resolve.Source), l.resolve.Via}, "source and proxy: %s", l)
	return l
}

func ids(all []history.Endpoint) []string {
	names := []string{}
	for _, e := range all {
		names = append(names, e.ID)
	}
	return names
}

func contains(all []string, s string) bool {
	for _, x := range all {
		if x == s {
			return true
		}
	}
	return false
}

// statuses are what became of each call: "v1-a 502".
func statuses(all []history.Request) []string {
	var s []string
	for _, q := range all {
		s = append(s, fmt.Sprintf("%s %d", q.Target, q.Status))
	}
	return s
}
