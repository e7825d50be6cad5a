package fresh

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// A token says who asks, and what is kept has no owner; with authentication on, the watch is refused.
func TestTokensShareNothing(t *testing.T) {
	m, f := holding(t, quick)
	before, _ := m.counted()
	ctx := metadata.NewIncomingContext(context.Background(), metadata.Pairs(rpctypes.TokenFieldNameGRPC, "alice.1"))
	_, err := f.Range(ctx, &pb.RangeRequest{Key: []byte("a")})
	require.NoError(t, err)
	after, _ := m.counted()
	require.Equal(t, before+1, after)
	require.EqualValues(t, 1, f.Stats().Passed["token"])

	m.set(func() {
		m.rangeErr = rpctypes.ErrGRPCUserEmpty
		m.refuse = func(*stream) *pb.WatchResponse {
			return &pb.WatchResponse{Header: m.at(), Created: true, Canceled: true, CancelReason: "user name is empty"}
		}
	})
	_, err = f.Range(context.Background(), &pb.RangeRequest{Key: []byte("a")})
	require.Equal(t, codes.InvalidArgument, status.Code(err), "authentication is on, and the reader is nobody")
	require.EqualValues(t, 1, f.Stats().Purges["refused"])
	m.set(func() { m.rangeErr = nil })
	m.eventually("the watch is refused", func() bool {
		return f.Stats().Refused == "the watch was refused: user name is empty"
	})
	require.Equal(t, "a=11 ", m.look(f, "a", ""))
	require.False(t, f.Stats().Live)
	m.set(func() { m.refuse = nil })
	m.eventually("off again", func() bool { return f.Stats().Live })
	m.hit(f, "a", "")
}

// What a client wrote through a proxy it reads there, whatever the bound and however late the event.
func TestOwnWrites(t *testing.T) {
	t.Parallel()
	m := newMember(t)
	o := quick
	o.MaxStaleness = time.Hour
	f := m.fenced(o)
	require.Empty(t, m.hit(f, "a", ""))
	m.set(func() { m.quiet = true })
	_, err := f.Put(context.Background(), &pb.PutRequest{Key: []byte("a")})
	require.NoError(t, err)
	require.Equal(t, "a=11 ", m.look(f, "a", ""))
}

// Within its bound a hit asks nobody; past it, one barrier is asked.
func TestABoundIsABound(t *testing.T) {
	t.Parallel()
	m := newMember(t)
	o := quick
	o.MaxStaleness = time.Hour
	f := m.fenced(o)
	m.hit(f, "a", "")
	ranges, barriers := m.counted()
	for range 100 {
		m.look(f, "a", "")
	}
	r, b := m.counted()
	require.Equal(t, []int{ranges, barriers}, []int{r, b})
	m.set(func() { m.quiet = true })
	m.put("a")
	require.Empty(t, m.look(f, "a", ""), "it may be an hour old")
	f.kept.mu.Lock()
	f.kept.fence = f.kept.fence.Add(-time.Hour)
	f.kept.mu.Unlock()
	require.Equal(t, "a=11 ", m.look(f, "a", ""))
}

// A change at any key of a range is one of the range, to the end of all keys where it has no other.
func TestAChangeWithinARange(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"c", "\x00"} {
		m := newMember(t)
		m.put("a")
		f := m.fenced(quick)
		require.Equal(t, "a=11 ", m.hit(f, "a", end))
		m.put("b")
		require.Equal(t, "a=11 b=12 ", m.look(f, "a", end))
	}
}

// What an answer proves is as old as its question: what was acknowledged while it was on its way may not be in it.
func TestAFenceIsAsOldAsItsQuestion(t *testing.T) {
	t.Parallel()
	m := newMember(t)
	f := m.fenced(quick)
	fence := func() time.Time {
		f.kept.mu.Lock()
		defer f.kept.mu.Unlock()
		return f.kept.fence
	}
	for what, ask := range map[string]func() error{
		"barrier": func() error { _, err := f.barrier.wait(t.Context()); return err },
		"read":    func() error { _, err := f.Range(t.Context(), &pb.RangeRequest{Key: []byte("a")}); return err },
	} {
		before := fence()
		asked := make(chan time.Time, 1)
		m.set(func() { m.delay = func(*pb.RangeRequest) { asked <- time.Now() } })
		require.NoError(t, ask())
		require.True(t, fence().After(before), what)
		require.True(t, fence().Before(<-asked), what)
	}
}

// gate holds the answer to the next read that is no barrier until free is closed, which the test's end does at last.
func (m *member) gate() (held chan struct{}, free func()) {
	held, open := make(chan struct{}), make(chan struct{})
	free = sync.OnceFunc(func() { close(open) })
	m.t.Cleanup(free) // before the server is stopped, which waits
	m.set(func() {
		m.delay = func(r *pb.RangeRequest) {
			if !isBarrier(r) {
				m.set(func() { m.delay = nil })
				close(held)
				<-open
			}
		}
	})
	return held, free
}

// reading reads keys in a goroutine.
func (m *member) reading(f *Fenced, key string) <-chan string {
	told := make(chan string, 1)
	go func() { told <- m.look(f, key, "") }()
	return told
}

// Who comes while another reads the same waits for that, and is told it unless it is older than what was acknowledged
// before he came.
func TestWhoWaitsIsNotToldOfThePast(t *testing.T) {
	t.Parallel()
	for written, want := range map[bool]string{false: "a=11 ", true: "a=12 "} {
		m := newMember(t)
		m.put("a")
		f := m.fenced(FencedOptions{Patience: 20 * time.Second, Stall: time.Hour})
		before, barriers := m.counted()
		held, free := m.gate()
		first := m.reading(f, "a")
		<-held
		if written {
			m.put("a")
		}
		late := m.reading(f, "a")
		m.eventually("who came late asks for the present", func() bool { _, b := m.counted(); return b > barriers })
		free()
		require.Equal(t, "a=11 ", <-first)
		require.Equal(t, want, <-late)
		after, _ := m.counted()
		require.Equal(t, written, after == before+2, "%d reads, one of them the first", after-before)
	}
}

// Who has waited too long for another's read makes his own, and who comes then does not wait for it.
func TestAReadThatTakesLongIsOvertaken(t *testing.T) {
	t.Parallel()
	m := newMember(t)
	m.put("a")
	f := m.fenced(FencedOptions{Patience: time.Second, Stall: time.Hour})
	held, free := m.gate()
	first := m.reading(f, "a")
	<-held
	require.Equal(t, "a=11 ", m.look(f, "a", ""))
	require.EqualValues(t, 1, f.Stats().Passed["slow read"])
	require.Equal(t, "a=11 ", m.hit(f, "a", ""))
	free()
	require.Equal(t, "a=11 ", <-first)
	require.Equal(t, "a=11 ", m.hit(f, "a", ""))
}

// An answer that a write overtook is not kept, whoever wrote.
func TestAnAnswerInFlight(t *testing.T) {
	t.Parallel()
	m := newMember(t)
	m.put("a")
	f := m.fenced(quick)
	m.set(func() {
		m.delay = func(*pb.RangeRequest) {
			m.set(func() { m.delay = nil })
			m.delete("a")
			m.eventually("the delete comes first", func() bool { return f.Stats().Seen == 12 })
		}
	})
	require.Equal(t, "a=11 ", m.look(f, "a", ""), "it was so when it was asked")
	require.Empty(t, m.look(f, "a", ""))
	require.EqualValues(t, 1, f.Stats().Rejected)
}

// The bound is for serializable reads. Who asks for a linearizable one gets it.
func TestALinearizableReadHasNoBound(t *testing.T) {
	t.Parallel()
	m := newMember(t)
	o := quick
	o.MaxStaleness = time.Hour
	f := m.fenced(o)
	m.hit(f, "a", "")
	m.set(func() { m.quiet = true })
	m.put("a")
	require.Empty(t, m.look(f, "a", ""))
	r, err := f.Range(context.Background(), &pb.RangeRequest{Key: []byte("a")})
	require.NoError(t, err)
	require.Len(t, r.Kvs, 1)
	require.Equal(t, "a=11 ", m.look(f, "a", ""), "what was told to one is told to all")
}

// A read at an old revision is the members' to answer, for it is not the present that is asked for; but not one
// member's, whose header may be older than what the reader was told before.
func TestAnOldRevisionIsPassedOn(t *testing.T) {
	t.Parallel()
	m := newMember(t)
	f := m.fenced(quick)
	for n := range 2 {
		_, err := f.Range(context.Background(), &pb.RangeRequest{Key: []byte("a"), Revision: 3, Serializable: true})
		require.NoError(t, err)
		ranges, _ := m.counted()
		require.Equal(t, n+1, ranges)
	}
	require.Zero(t, m.serial)
	require.EqualValues(t, 2, f.Stats().Passed["old revision"])
}

// A transaction of serializable ranges alone a member answers by itself, however far it is behind.
func TestATransactionIsLinearizable(t *testing.T) {
	t.Parallel()
	read := func() *pb.RequestOp {
		return &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{Serializable: true}}}
	}
	inner := &pb.TxnRequest{Failure: []*pb.RequestOp{read()}}
	txn := &pb.TxnRequest{Success: []*pb.RequestOp{read(),
		{Request: &pb.RequestOp_RequestTxn{RequestTxn: inner}}}}
	l := linearizable(txn)
	require.False(t, l.Success[0].GetRequestRange().Serializable)
	require.False(t, l.Success[1].GetRequestTxn().Failure[0].GetRequestRange().Serializable)
	require.True(t, inner.Failure[0].GetRequestRange().Serializable, "the caller's own was changed")
}
