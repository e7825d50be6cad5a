package fresh

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
)

// The ways in which watched caches have failed elsewhere, each by its number in issue 11. What etcd itself did only in
// an old version, or does only when much goes wrong at once, a made-up member does here.

// 1: progress comes before the event of its revision (etcd issue 15220, mended in 3.4.25 and 3.5.8).
// 3: a backend's progress lies (kine issue 577).
func TestProgressBeforeItsEventIsNotBelieved(t *testing.T) {
	t.Parallel()
	for _, bound := range []time.Duration{0, time.Hour} {
		m := newMember(t)
		m.put("a")
		o := quick
		o.MaxStaleness = bound
		f := m.fenced(o)
		require.Equal(t, "a=11 ", m.hit(f, "a", ""))
		m.set(func() { m.quiet = true })
		rev := m.put("a")
		m.say(&pb.WatchResponse{}) // progress: everything up to the present was delivered, it says
		if bound == 0 {
			require.Equal(t, "a=12 ", m.look(f, "a", ""))
		} else {
			// a proxy that has told of the revision does not tell of less, bound or not
			require.Equal(t, "b=", m.look(f, "b", "")+"b=")
			require.Equal(t, "a=12 ", m.look(f, "a", ""))
		}
		m.say(events(mvccpb.Event_PUT, rev, "a"))
		m.set(func() { m.quiet = false })
		m.eventually("the event arrives", func() bool { return f.Stats().Seen == rev })
		require.Equal(t, "a=12 ", m.hit(f, "a", ""))
		require.Empty(t, f.Stats().Purges)
	}
}

// 2: one request for progress, answered with too old a revision, and an endless wait (KEP-2340).
// 4: one watcher that is behind silences progress for its whole stream (etcd issue 15220).
// Nobody asks for progress, the watch is alone on its stream, and no wait is longer than patience.
func TestNoReadWaitsForAWatchThatIsSilent(t *testing.T) {
	m, f := holding(t, FencedOptions{Patience: time.Second, Stall: time.Hour})
	m.set(func() { m.quiet = true })
	for range 20 {
		m.put("b")
	}
	m.say(&pb.WatchResponse{Header: &pb.ResponseHeader{ClusterId: 1, Revision: 15}})
	m.crowded(f, 20, "a") // the first waits, and no other
	s := f.Stats()
	require.EqualValues(t, 1, s.Hits)
	require.EqualValues(t, 20, s.Passed["watch behind"])
	require.Zero(t, m.progress)
	require.Len(t, m.created, 1)
	for rev := int64(12); rev <= 31; rev++ {
		m.say(events(mvccpb.Event_PUT, rev, "b"))
	}
	m.eventually("the watch catches up", func() bool { return f.Stats().Seen == 31 })
	require.Equal(t, "a=11 ", m.look(f, "a", ""))
	require.EqualValues(t, 2, f.Stats().Hits, "what the events did not touch was kept all the while")
}

// 5: the watch starves behind big answers on its connection (etcd issue 15402): it can have one of its own.
func TestTheWatchMayHaveAConnectionOfItsOwn(t *testing.T) {
	t.Parallel()
	m, other := newMember(t), newMember(t)
	o := quick
	o.Watch = other.client()
	f := m.fenced(o)
	m.mu.Lock()
	defer m.mu.Unlock()
	require.Empty(t, m.created)
	require.Len(t, other.created, 1)
	require.True(t, f.Stats().Live)
}

// 6: a delete is lost when a watch starts at its revision and it was compacted meanwhile (etcd issues 18089, 19179, old
// versions).
func TestADeleteLostToCompaction(t *testing.T) {
	t.Parallel()
	m := newMember(t)
	m.put("a")
	m.set(func() {
		m.refuse = func(*stream) *pb.WatchResponse {
			m.refuse = nil // the key goes between the barrier and the watch, and the watch does not say so
			m.header.Revision++
			delete(m.keys, "a")
			return nil
		}
	})
	old := &pb.RangeResponse{Header: &pb.ResponseHeader{ClusterId: 1, RaftTerm: 3, Revision: 11}, Count: 1,
		Kvs: []*mvccpb.KeyValue{{Key: []byte("a"), Value: []byte("11")}}}
	f := m.fenced(quick)
	m.set(func() { m.stale = old }) // an answer from before the delete that was long on its way
	require.Equal(t, "a=11 ", m.look(f, "a", ""))
	require.EqualValues(t, 1, f.Stats().Rejected)
	m.set(func() { m.stale = nil })
	for range 3 {
		require.Empty(t, m.look(f, "a", ""))
	}
	m.put("b") // and what is missing shows
	m.eventually("the watch is begun anew", func() bool { return f.Stats().Purges["the watch left a revision out"] == 1 })
}

// 7: a watch at a future revision gets older events, from a member that lags (etcd issue 20221).
func TestOlderEventsEndTheWatch(t *testing.T) {
	m, f := holding(t, quick)
	m.say(events(mvccpb.Event_PUT, 9, "c"))
	m.eventually("purged", func() bool {
		return f.Stats().Purges["the watch went back to a revision that it had delivered"] == 1
	})
	m.eventually("begun anew", func() bool { return f.Stats().Live })
	require.Equal(t, "a=11 ", m.hit(f, "a", ""))
}

// 8: compaction while the watch is behind: list anew, never resume (libcalico-go 1338, APISIX 8682).
func TestACompactedWatchBeginsFromThePresent(t *testing.T) {
	m, f := holding(t, quick)
	m.set(func() { m.quiet = true })
	m.delete("a")
	m.put("b")
	m.say(&pb.WatchResponse{CompactRevision: 13, Canceled: true})
	m.set(func() { m.quiet = false })
	m.eventually("begun anew", func() bool { s := f.Stats(); return s.Live && s.Purges["compacted"] == 1 })
	require.EqualValues(t, 14, m.created[1].StartRevision, "it resumed")
	require.Empty(t, m.hit(f, "a", ""))
}

// 9: the list is answered by a member that lags (kubernetes issue 59848). No read is serializable, so none may be; one
// that is all the same is not kept.
func TestAnAnswerOfAMemberThatLagsIsNotKept(t *testing.T) {
	t.Parallel()
	m := newMember(t)
	m.put("a")
	f := m.fenced(quick)
	m.put("a", "b")
	m.eventually("delivered", func() bool { return f.Stats().Seen == 12 })
	require.Empty(t, m.look(f, "c", "")) // the present is known to be 12
	m.set(func() {
		m.stale = &pb.RangeResponse{Header: &pb.ResponseHeader{ClusterId: 1, RaftTerm: 3, Revision: 11}, Count: 1,
			Kvs: []*mvccpb.KeyValue{{Key: []byte("a"), Value: []byte("11")}}}
	})
	require.Equal(t, "a=11 ", m.look(f, "a", ""), "it broke its own promise, and its reader hears it")
	m.set(func() { m.stale = nil })
	require.Equal(t, "a=12 ", m.look(f, "a", ""))
	require.Zero(t, m.serial)
	require.EqualValues(t, 1, f.Stats().Purges["another history"])
}

// 10: the watch's member is black-holed or stopped: nothing is delivered, nothing breaks off.
// 17: a watcher stands on a dead stream (etcd issue 21813).
func TestAWatchThatIsDeadIsGivenUp(t *testing.T) {
	m, f := holding(t, quick)
	m.set(func() { m.quiet = true })
	m.put("a")
	m.eventually("given up for another that stands", func() bool {
		require.Equal(t, "a=12 ", m.look(f, "a", ""))
		s := f.Stats()
		return s.Purges["stalled"] == 1 && s.Live
	})
	require.Equal(t, "a=12 ", m.hit(f, "a", ""))
}

// 10, of the barrier: reads wait for one that is not answered once, and not for the next.
func TestABarrierThatIsNotAnswered(t *testing.T) {
	m, f := holding(t, FencedOptions{Patience: time.Second, Stall: time.Hour})
	free := make(chan struct{})
	m.set(func() {
		m.delay = func(r *pb.RangeRequest) {
			if isBarrier(r) {
				<-free
			}
		}
	})
	t.Cleanup(func() { // before the server is stopped, which waits
		select {
		case <-free:
		default:
			close(free)
		}
	})
	m.crowded(f, 20, "a") // the first waits, and no other
	require.EqualValues(t, 20, f.Stats().Passed["no barrier"])
	m.set(func() { m.delay = nil })
	close(free)
	m.eventually("hits again", func() bool { m.look(f, "a", ""); return f.Stats().Hits > 1 })
}

// A barrier that takes longer than readers wait is not given up: else members that are slow would be asked by each
// reader for everything, in vain for the present, and would stay slow.
func TestALateBarrierIsAnAnswer(t *testing.T) {
	m, f := holding(t, FencedOptions{Patience: 50 * time.Millisecond, Stall: time.Hour})
	free := make(chan struct{})
	t.Cleanup(func() { // before the server is stopped, which waits
		select {
		case <-free:
		default:
			close(free)
		}
	})
	m.set(func() {
		m.delay = func(r *pb.RangeRequest) {
			if isBarrier(r) {
				<-free
			}
		}
	})
	_, before := m.counted()
	for began := time.Now(); time.Since(began) < 10*f.o.Patience; {
		require.Equal(t, "a=11 ", m.look(f, "a", ""))
	}
	_, now := m.counted()
	require.Equal(t, before+1, now, "it was given up")
	m.set(func() { m.delay = nil })
	close(free)
	m.eventually("hits again", func() bool { hits := f.Stats().Hits; m.look(f, "a", ""); return f.Stats().Hits > hits })
}

// 11: a stampede when the cache is unsure (kubernetes issue 138494): each read is one upstream, as it would be without
// a cache, and barriers are not more than reads; when it is sure, hundreds of reads share a few barriers.
func TestReadsUpstreamAreCounted(t *testing.T) {
	m, f := holding(t, FencedOptions{Patience: 5 * time.Second, Stall: time.Hour})
	crowd := func(n int) (ranges, barriers int) {
		r, b := m.counted()
		var wg sync.WaitGroup
		for range n {
			wg.Go(func() { m.look(f, "a", "") })
		}
		wg.Wait()
		ranges, barriers = m.counted()
		return ranges - r, barriers - b
	}
	const n = 200
	ranges, barriers := crowd(n)
	require.Zero(t, ranges)
	require.Less(t, barriers, n/2)
	t.Logf("%d reads, the watch up to date: %d reads and %d barriers upstream", n, ranges, barriers)
	m.set(func() { m.quiet = true })
	m.put("b")
	f.behind.Store(true) // as when the first had waited
	ranges, barriers = crowd(n)
	require.LessOrEqual(t, ranges, n)
	require.Less(t, barriers, n/2)
	t.Logf("%d reads, the watch behind: %d reads and %d barriers upstream", n, ranges, barriers)
}

// 12: one event is lost, others of its revision come, and everything looks current (kubernetes issue 123072).
// 13: the check that finds it costs little and gives no false alarm; TestEveryAnswerIsTrueAndInTime checks all along.
func TestADigestFindsALostEvent(t *testing.T) {
	t.Parallel()
	for what, change := range map[string]func(*member) int64{
		"delete": func(m *member) int64 { return m.delete("b", "c") },
		"put":    func(m *member) int64 { return m.put("b", "c") },
	} {
		m := newMember(t)
		m.put("a", "b")
		f := m.fenced(quick)
		require.Equal(t, "a=11 b=11 ", m.hit(f, "a", "c"))
		m.hit(f, "b", "\x00")
		f.check(t.Context())
		require.EqualValues(t, 2, f.Stats().Checked)
		require.Empty(t, f.Stats().Purges)
		m.set(func() { m.quiet = true })
		rev := change(m)
		m.say(events(mvccpb.Event_PUT, rev, "c"))
		m.eventually("delivered", func() bool { return f.Stats().Seen == rev })
		require.Equal(t, "a=11 b=11 ", m.look(f, "a", "c"), "a watch that leaves an event out is believed")
		f.check(t.Context())
		require.EqualValues(t, 1, f.Stats().Purges["digest"], what)
		require.NotEqual(t, "a=11 b=11 ", m.look(f, "a", "c"))
	}
}

// 14: the events of one revision come in fragments: it has been seen when the last has come.
func TestFragmentsAreOneRevision(t *testing.T) {
	t.Parallel()
	const n = 3000
	m := newMember(t)
	var keys []string
	for i := range n {
		keys = append(keys, fmt.Sprintf("k%04d", i))
	}
	m.put(keys...)
	o := quick
	o.Stall = time.Hour
	f := m.fenced(o)
	first, last := keys[0], keys[n-1]
	m.hit(f, first, "")
	m.hit(f, last, "")
	m.set(func() { m.quiet = true })
	rev := m.delete(keys...)
	for i := 0; i < n; i += 500 {
		part := events(mvccpb.Event_DELETE, rev, keys[i:i+500]...)
		part.Fragment = i+500 < n
		require.Empty(t, m.look(f, first, "")+m.look(f, last, ""), "both or neither: after %d events of %d", i, n)
		require.Less(t, f.Stats().Seen, rev)
		m.say(part)
	}
	m.eventually("all have come", func() bool { return f.Stats().Seen == rev })
	require.Empty(t, m.hit(f, first, "")+m.hit(f, last, ""))
	require.True(t, m.created[0].Fragment)
}

// 15: an event comes before its revision can be read (etcd's watchable_store_txn.go notifies, then ends).
func TestAnEventBeforeItsRevisionIsReadable(t *testing.T) {
	m, f := holding(t, quick)
	m.say(events(mvccpb.Event_PUT, 12, "a", "b"))
	m.eventually("delivered", func() bool { return f.Stats().Seen == 12 })
	require.Equal(t, "a=11 ", m.look(f, "a", ""))
	require.Empty(t, m.look(f, "b", ""), "nobody had asked for it before")
	require.EqualValues(t, 2, f.Stats().Rejected, "what lacks a delivered event is not kept")
	m.set(func() { m.quiet = true })
	m.put("a", "b")
	require.Equal(t, "a=12 ", m.hit(f, "a", ""))
	require.Equal(t, "b=12 ", m.hit(f, "b", ""))
	require.Empty(t, f.Stats().Purges)
}

// 18: the watch resumes with a gap (etcd issue 20488).
func TestAGapEndsTheWatch(t *testing.T) {
	m, f := holding(t, quick)
	m.set(func() { m.quiet = true })
	m.delete("a")
	m.set(func() { m.quiet = false })
	m.put("b")
	m.eventually("purged", func() bool { return f.Stats().Purges["the watch left a revision out"] == 1 })
	m.eventually("begun anew", func() bool { return f.Stats().Live })
	require.Empty(t, m.hit(f, "a", ""))
}

// 19: readers give up and watches are cancelled in storms (etcd issues 20716, 18879, 21065): nothing hangs, nothing is
// left, and members are not hammered.
func TestStormsOfCancels(t *testing.T) {
	t.Parallel()
	m := newMember(t)
	m.put("a")
	f := m.fenced(quick)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			m.cut()
			m.put("a")
			time.Sleep(time.Millisecond) // the pace of the storm: nothing waits for it
		}
	})
	for i := range 50 {
		seed := rand.New(rand.NewPCG(uint64(i), 0))
		wg.Go(func() {
			for ctx.Err() == nil {
				ctx, cancel := context.WithTimeout(ctx, time.Duration(seed.IntN(2000))*time.Microsecond)
				_, err := f.Range(ctx, &pb.RangeRequest{Key: []byte("a")})
				if err != nil {
					assert.Contains(t, []codes.Code{codes.Canceled, codes.DeadlineExceeded}, status.Code(err), err)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	m.mu.Lock()
	watches, last := len(m.created), m.header.Revision
	m.mu.Unlock()
	require.Less(t, watches, 10, "intervals between watches grow")
	require.Equal(t, fmt.Sprintf("a=%d ", last), m.look(f, "a", ""))
}
