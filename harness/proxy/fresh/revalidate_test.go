package fresh_test

import (
	"context"
	"fmt"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"ghostroute/harness/proxy/fresh"
)

// byDefault is as it comes, but that nobody overtakes: what a test holds, it holds.
var byDefault = fresh.RevalidateOptions{Overtake: time.Hour}

// What has not changed is confirmed in one request that brings no value, what has changed is read.
func TestOneRequestConfirms(t *testing.T) {
	s := start(t, 1, byDefault)
	rev := s.put("k", "old")
	s.Equal("old", s.value("k"))
	first := s.tap.ranges()
	s.Len(first, 1, "there was nothing to confirm")
	s.False(first[0].Serializable, "a member that lags must not be believed")

	later := s.put("elsewhere", "x")
	r, err := s.kv.Range(s.ctx, &pb.RangeRequest{Key: []byte("k"), Serializable: true})
	s.NoError(err)
	s.Equal("old", string(r.Kvs[0].Value))
	s.Equal(later, r.Header.Revision, "a list and a watch from its revision + 1 must meet")
	asked := s.tap.ranges()
	s.Len(asked, 1)
	s.Equal([]any{rev + 1, true, int64(1), false},
		[]any{asked[0].MinModRevision, asked[0].KeysOnly, asked[0].Limit, asked[0].Serializable})

	s.put("k", "new")
	s.Equal("new", s.value("k"))
	s.Len(s.tap.ranges(), 2, "one that found it changed, one that read it")
	s.Equal("new", s.value("k"))
	s.Len(s.tap.ranges(), 1)

	_, err = s.direct.Compact(s.ctx, later)
	s.NoError(err)
	s.Equal("new", s.value("k"))
	s.Len(s.tap.ranges(), 1, "a compaction changes nothing")

	_, err = s.direct.Delete(s.ctx, "k")
	s.NoError(err)
	s.Empty(s.value("k"), "a delete alone leaves no newer key")
}

// What was read at a revision stays as it is, a count is as small as what would confirm it, and a linearizable reader
// asked for the members. None costs more than it did.
func TestWhatIsPassedOn(t *testing.T) {
	s := start(t, 1, byDefault)
	rev := s.put("k", "old")
	for range 2 {
		s.value("k")
	}
	s.tap.ranges()
	for _, r := range []*pb.RangeRequest{
		{Key: []byte("k"), Serializable: true, Revision: rev},
		{Key: []byte("k"), Serializable: true, CountOnly: true},
		{Key: []byte("k")},
	} {
		for range 2 {
			_, err := s.kv.Range(s.ctx, r)
			s.NoError(err)
			asked := s.tap.ranges()
			s.Len(asked, 1, "%v", r)
			s.False(asked[0].Serializable, "%v: a member that lags does not know the newest", r)
			s.Zero(asked[0].MinModRevision, "%v", r)
		}
	}
}

// Who comes while a confirmation is under way is not answered by it: it may have been made before what the reader knows
// of. All who came meanwhile share the next.
func TestReadersShareOnlyWhatBeganAfterThem(t *testing.T) {
	s := start(t, 1, byDefault)
	s.put("k", "old")
	s.value("k")
	s.tap.ranges()

	gate := s.tap.hold()
	early := s.readers(s.ctx, 1, "k")
	<-gate.caught // the member has said that nothing changed
	s.put("k", "new")
	late := s.readers(s.ctx, 8, "k")
	s.waiting(9)
	close(gate.open)
	s.Equal(read{value: "old"}, <-early)
	for range 8 {
		s.Equal(read{value: "new"}, <-late)
	}
	s.Len(s.tap.ranges(), 3, "the first confirmation; one for the eight, and their read")
}

func TestMissesAreSharedToo(t *testing.T) {
	s := start(t, 1, byDefault)
	s.put("k", "v")
	gate := s.tap.hold()
	first := s.readers(s.ctx, 1, "k")
	<-gate.caught
	rest := s.readers(s.ctx, 8, "k")
	s.waiting(9)
	close(gate.open)
	s.Equal(read{value: "v"}, <-first)
	for range 8 {
		s.Equal(read{value: "v"}, <-rest)
	}
	s.Len(s.tap.ranges(), 2)
}

// An answer that does not come holds nobody up but those who waited for it.
func TestASlowAnswerIsOvertaken(t *testing.T) {
	s := start(t, 1, fresh.RevalidateOptions{Overtake: time.Millisecond})
	s.put("k", "old")
	s.value("k")
	gate := s.tap.hold()
	slow := s.readers(s.ctx, 1, "k")
	<-gate.caught
	s.put("k", "new")
	for range 3 {
		s.Equal("new", s.value("k"))
	}
	s.waiting(1)
	close(gate.open)
	s.Equal(read{value: "old"}, <-slow, "true when it was confirmed, which was after this reader came")
	s.Equal("new", s.value("k"))
	flights, _ := fresh.Held(s.server)
	s.Zero(flights)
}

// Whoever gives up ends nobody's read but, being the last, the one made for him.
func TestAReaderThatGivesUp(t *testing.T) {
	s := start(t, 1, byDefault)
	s.put("k", "v")
	s.value("k")
	s.tap.ranges()

	gate := s.tap.hold()
	one, cancelOne := context.WithCancel(s.ctx)
	two, cancelTwo := context.WithCancel(s.ctx)
	first := s.readers(one, 1, "k")
	<-gate.caught
	leads, follows := s.readers(two, 1, "k"), (<-chan read)(nil)
	s.waiting(2)
	follows = s.readers(s.ctx, 1, "k")
	s.waiting(3)
	cancelTwo() // the next flight was made with its context
	s.Equal(codes.Canceled, status.Code((<-leads).err))
	s.waiting(2)
	cancelOne() // nobody waits for what is held: it is given up, and the next begins
	s.Equal(codes.Canceled, status.Code((<-first).err))
	<-gate.ended
	s.Equal(read{value: "v"}, <-follows)
	s.Len(s.tap.ranges(), 2)
	s.waiting(0)

	gate = s.tap.hold()
	first = s.readers(s.ctx, 1, "k")
	<-gate.caught
	two, cancelTwo = context.WithCancel(s.ctx)
	leads = s.readers(two, 1, "k")
	s.waiting(2)
	cancelTwo()
	<-leads
	s.waiting(1)
	follows = s.readers(s.ctx, 1, "k") // must not be put into the flight that was given up
	s.waiting(2)
	close(gate.open)
	s.Equal(read{value: "v"}, <-first)
	s.Equal(read{value: "v"}, <-follows)
	flights, answers := fresh.Held(s.server)
	s.Equal([]int{0, 1}, []int{flights, answers})
}

// What an answer that is shared fails with, each is told, and who comes after it asks anew.
func TestAnErrorIsEverybodysWhoWaited(t *testing.T) {
	s := start(t, 1, byDefault)
	s.put("k", "v")
	s.value("k")
	gate := s.tap.hold()
	first := s.readers(s.ctx, 1, "k")
	<-gate.caught
	rest := s.readers(s.ctx, 4, "k")
	s.waiting(5)
	s.tap.ranges()
	s.tap.refuse(status.Error(codes.ResourceExhausted, "enough"))
	close(gate.open)
	s.Equal(read{value: "v"}, <-first)
	for range 4 {
		s.ErrorContains((<-rest).err, "enough")
	}
	s.Len(s.tap.ranges(), 1)
	s.tap.refuse(nil)
	s.Equal("v", s.value("k"))
}

// Without a quorum a read fails, or where that is chosen it is a member's own and says so.
func TestNoQuorum(t *testing.T) {
	for _, wait := range []time.Duration{0, 50 * time.Millisecond} {
		t.Run(fmt.Sprint(wait), func(t *testing.T) {
			s := start(t, 3, fresh.RevalidateOptions{Unconfirmed: wait})
			leader, err := s.cluster.Leader(s.ctx)
			s.NoError(err)
			s.up.SetEndpoints(leader.Endpoint())
			s.direct = leader.Client()
			s.put("k", "v")
			s.Equal("v", s.value("k"))
			for _, m := range s.cluster.Members {
				if m != leader {
					s.NoError(m.Kill())
				}
			}
			if wait == 0 {
				ctx, cancel := context.WithTimeout(s.ctx, 200*time.Millisecond)
				defer cancel()
				_, err := s.get(ctx, "k")
				s.Error(err)
				return
			}
			for _, key := range []string{"k", "another"} { // kept, and not
				var md metadata.MD
				r, err := s.kv.Range(s.ctx, &pb.RangeRequest{Key: []byte(key), Serializable: true}, grpc.Header(&md))
				s.NoError(err)
				s.Equal(key == "k", len(r.Kvs) == 1)
				s.NotEmpty(md.Get(fresh.HeaderUnconfirmed), "an answer that nobody confirmed says so")
			}
			for _, m := range s.cluster.Members {
				if m != leader {
					s.NoError(m.Restart(s.ctx))
				}
			}
			s.Eventually(func() bool {
				var md metadata.MD
				_, err := s.kv.Range(s.ctx, &pb.RangeRequest{Key: []byte("k"), Serializable: true}, grpc.Header(&md))
				return err == nil && len(md.Get(fresh.HeaderUnconfirmed)) == 0
			}, 20*time.Second, 10*time.Millisecond)
		})
	}
}

// What the members refuse is no want of a quorum.
func TestARefusalIsNotAskedAgain(t *testing.T) {
	s := start(t, 1, fresh.RevalidateOptions{Unconfirmed: time.Minute})
	s.tap.refuse(status.Error(codes.PermissionDenied, "etcdserver: permission denied"))
	_, err := s.get(s.ctx, "k")
	s.ErrorContains(err, "permission denied")
	s.Len(s.tap.ranges(), 1)
}

// Members that were restored give old revisions to other writes: with what was kept, "nothing newer" would be a lie.
func TestHistoryThatStartsAgain(t *testing.T) {
	s := start(t, 1, byDefault)
	for range 20 {
		s.put("k", "before")
	}
	s.Equal("before", s.value("k"))

	other := boot(s.ctx, t, 1)
	s.up.SetEndpoints(other.Members[0].Endpoint())
	s.NoError(s.cluster.Members[0].Kill())
	s.direct = other.Members[0].Client()
	s.put("k", "after")
	s.Eventually(func() bool { // its client has come over when it reads a revision of before
		r, err := s.kv.Range(s.ctx, &pb.RangeRequest{Key: []byte("another"), Serializable: true})
		return err == nil && r.Header.Revision < 20
	}, 10*time.Second, 10*time.Millisecond)
	for range 30 {
		s.put("another", "x")
	}
	s.Equal("after", s.value("k"))
}

func TestWhatIsKeptIsBounded(t *testing.T) {
	s := start(t, 1, fresh.RevalidateOptions{MaxBytes: 4 * 860}) // of empty answers, which are estimated at 845
	for _, key := range []string{"a", "b", "c", "d", "a", "e"} {
		s.value(key)
	}
	s.tap.ranges()
	for _, key := range []string{"a", "c", "d", "e"} {
		s.value(key)
		s.NotZero(s.tap.ranges()[0].MinModRevision, key)
	}
	s.value("b")
	s.Zero(s.tap.ranges()[0].MinModRevision, "b was the least recently used")
	flights, answers := fresh.Held(s.server)
	s.Equal([]int{0, 4}, []int{flights, answers})
}

// What has become too big to be kept is not confirmed in vain.
func TestWhatIsTooBigIsForgotten(t *testing.T) {
	s := start(t, 1, fresh.RevalidateOptions{MaxBytes: 16 << 10})
	s.put("k", "small")
	s.value("k")
	s.put("k", strings.Repeat("x", 8<<10))
	s.value("k")
	s.tap.ranges()
	s.Len(s.value("k"), 8<<10)
	s.Len(s.tap.ranges(), 1)
	_, answers := fresh.Held(s.server)
	s.Zero(answers)
}

// What is under way when the proxy ends is given up, and nothing is begun.
func TestItEnds(t *testing.T) {
	s := start(t, 1, byDefault)
	gate := s.tap.hold()
	first := s.readers(s.ctx, 1, "k")
	<-gate.caught
	second := s.readers(s.ctx, 1, "k")
	s.waiting(2)
	s.end()
	flights, _ := fresh.Held(s.server)
	s.Zero(flights, "nothing runs once it has ended")
	s.Error((<-first).err)
	s.Error((<-second).err)
	_, err := s.get(s.ctx, "k")
	s.Equal(codes.Unavailable, status.Code(err))
}

// The package is put into etcd: it stands on nothing of ours, and on nothing that etcd's server does not have.
func TestItStandsOnEtcdAlone(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		require.NoError(t, err)
		require.NotEmpty(t, file.Imports)
		for _, i := range file.Imports {
			path := strings.Trim(i.Path.Value, `"`)
			first, _, _ := strings.Cut(path, "/")
			require.True(t, !strings.Contains(first, ".") && first != "ghostroute" ||
				first == "go.etcd.io" || first == "google.golang.org" || path == "github.com/spf13/pflag" ||
				path == "github.com/prometheus/client_golang/prometheus", "%s: %s", name, path)
		}
	}
}
