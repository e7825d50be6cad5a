package scenarios

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"

	"ghostroute/harness"
	"ghostroute/harness/history"
	"ghostroute/harness/telling"
)

// Output is where a program says what it does and keeps what it saw.
type Output struct {
	io.Writer
	Colour bool
	Dir    string // the folder for histories; "" keeps none
}

// story is a bench whose history is told while it happens, and the words to assert with. A program that uses it reads
// like the story.
type story struct {
	*harness.Bench
	ctx   context.Context
	title string        // of the chapter that is told
	truth history.Truth // as members agreed on it last
}

// brokeOff is the panic that ends a story whose next step would be another story; tell recovers it.
type brokeOff struct{ error }

// tell starts a bench and tells what happens on it while f runs. The error is the first assertion that did not hold.
func tell(ctx context.Context, out Output, top harness.Topology, f func(s *story)) (err error) {
	teller := telling.New(out, out.Colour)
	b, err := harness.Open(ctx, top, harness.Following(teller.Tell))
	if err != nil {
		return fmt.Errorf("the bench did not start: %w", err)
	}
	b.Dir = out.Dir
	defer func() { err = errors.Join(err, b.Close()) }()
	s := &story{ctx: ctx, Bench: b}
	defer func() {
		switch off := recover().(type) {
		case nil:
		case brokeOff:
			err = off.error
			if s.title != "" {
				err = fmt.Errorf("the story broke off at %q: %w", s.title, err)
			}
			if ctx.Err() != nil {
				err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
			}
		default:
			panic(off)
		}
	}()
	f(s)
	return nil
}

// chapter is one step of the story, with a title.
func (s *story) chapter(title, text string, f func()) {
	s.title = title
	s.History.Add(history.Event{Who: "bench", Step: &history.Step{Title: title, Text: text}})
	f()
	s.title = ""
}

// must ends the story at an error.
func (s *story) must(err error) {
	if err != nil {
		panic(brokeOff{err})
	}
}

// assert ends the story where what was to happen did not.
func (s *story) assert(holds bool, format string, args ...any) {
	if !holds {
		panic(brokeOff{fmt.Errorf(format, args...)})
	}
}

// pinned asserts that the balancer gave the connections of these clients to that proxy.
func (s *story) pinned(proxy string, clients ...string) {
	for _, c := range clients {
		s.assert(s.PinnedTo(c) == proxy, "%s was to be connected to %s, and is to %s", c, proxy, s.PinnedTo(c))
	}
}

// readTruth waits until etcd's members agree, and remembers what they agree on.
func (s *story) readTruth() {
	truth, err := s.Truth(s.ctx)
	s.must(err)
	s.truth = truth
}

func (s *story) register(id string) {
	_, err := s.Register(s.ctx, id)
	s.must(err)
	s.readTruth()
}

func (s *story) deregister(id string) {
	s.must(s.Leave(s.ctx, id))
	s.readTruth()
}

// looked is what a gateway was told, where that came from, and what became of a call to each endpoint.
type looked struct {
	s        *story
	gateway  string
	resolve  history.Resolve
	requests []history.Request
}

// look has a gateway read and call. What it called is taken out of the history: a judge has nothing else.
func (s *story) look(gateway string) looked {
	before := s.History.Len()
	resolve, called := s.Look(s.ctx, gateway)
	s.assert(resolve.Err == "", "%s could not read the registry: %s", gateway, resolve.Err)
	var requests []history.Request
	for _, e := range s.History.Since(before) {
		if e.Request != nil && e.Who == gateway {
			requests = append(requests, *e.Request)
		}
	}
	s.assert(slices.Equal(requests, called), "%s made the requests %+v, and the history has %+v", gateway, called,
		requests)
	return looked{s, gateway, resolve, requests}
}

func (l looked) String() string {
	r, truth := l.resolve, l.s.truth
	return fmt.Sprintf("%s was told %v, %s: %v", l.gateway, history.IDs(r.Endpoints),
		r.Origin(truth.Revision), history.IDs(truth.Endpoints))
}

// fresh asserts that the gateway was told the truth and that each instance it was told of answered for itself.
func (l looked) fresh() looked {
	s := l.s
	s.assert(l.resolve.Agrees(s.truth), "this gateway was to be told the truth: %s", l)
	for _, q := range l.requests {
		l.answered(q)
		s.assert(q.Answered == s.Topology.Service, "%s was answered by the service %s at %s", l.gateway,
			q.Answered, q.Dialled)
		s.assert(q.Instance == q.Target, "%s was answered by %s at %s, where %s was", l.gateway, q.Instance,
			q.Dialled, q.Target)
	}
	return l
}

func (l looked) answered(q history.Request) {
	l.s.assert(q.Status == 200, "%s called %s: %d %s%s", l.gateway, q.Target, q.Status, q.Log, q.Err)
}

// ghosts asserts that the gateway was told of exactly these instances that are gone, out of that proxy's cache and at
// an older revision than truth's; that each call to one of them was really refused, answered 502 and logged; and that
// the others answered.
func (l looked) ghosts(proxy string, gone ...string) looked {
	s := l.s
	ghosts, _ := history.Compare(l.resolve.Endpoints, s.truth.Endpoints)
	s.assert(slices.Equal(gone, ghosts), "the ghosts %v were to be seen: %s", gone, l)
	l.from(history.Hit, proxy)
	s.assert(l.resolve.Revision < s.truth.Revision, "a ghost comes from an entry older than truth: %s", l)
	for _, q := range l.requests {
		if !slices.Contains(gone, q.Target) {
			l.answered(q)
			continue
		}
		s.assert(q.Status == 502, "%s called the ghost %s and got %d", l.gateway, q.Target, q.Status)
		refused := `^http: proxy error: dial tcp ` + regexp.QuoteMeta(q.Dialled) + `: connect: connection refused$`
		s.assert(regexp.MustCompile(refused).MatchString(q.Log), "%s called the ghost %s and logged %q", l.gateway,
			q.Target, q.Log)
	}
	return l
}

// hides asserts that the gateway was not told of exactly these instances, which truth has.
func (l looked) hides(present ...string) looked {
	_, hidden := history.Compare(l.resolve.Endpoints, l.s.truth.Endpoints)
	l.s.assert(slices.Equal(present, hidden), "the instances %v were to be hidden: %s", present, l)
	return l
}

// from asserts where the answer came from.
func (l looked) from(source history.Source, proxy string) looked {
	l.s.assert(l.resolve.Source == source && l.resolve.Via == proxy, "a %s at %s was to answer: %s", source, proxy, l)
	return l
}

// historyIn is the file in which a bench keeps its history.
func historyIn(dir string) string { return filepath.Join(dir, "history.jsonl") }
