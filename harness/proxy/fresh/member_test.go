package fresh

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// member is a made-up etcd member behind a real listener, for what a real one does only once in a year, or did only in
// an old version: it answers reads of the present from a map, and its watch delivers what a test says.
type member struct {
	t    *testing.T
	addr string

	mu       sync.Mutex
	header   pb.ResponseHeader
	keys     map[string]*mvccpb.KeyValue
	quiet    bool                            // writes deliver nothing
	streams  []*stream                       // that are open
	created  []*pb.WatchCreateRequest        // each watch that was asked for
	refuse   func(*stream) *pb.WatchResponse // what a watch is answered in place of being created, if it is anything
	rangeErr error                           // what a Range is refused with
	stale    *pb.RangeResponse               // what reads that are no barriers are answered with
	lagging  *pb.RangeResponse               // what serializable reads are answered with
	replays  bool                            // a watch that begins in the past is sent what was written since
	log      []*pb.WatchResponse             // what was written, a revision each
	delay    func(*pb.RangeRequest)          // called with each Range, unlocked, once its answer is made
	ranges   int                             // reads, barriers apart
	barriers int
	serial   int // reads that were serializable
	progress int // requests for progress

	pb.UnimplementedKVServer
	pb.UnimplementedWatchServer
}

type stream struct {
	send chan *pb.WatchResponse
	end  chan struct{}
}

// newMember starts one at revision 10. It ends with the test.
func newMember(t *testing.T) *member {
	m := &member{t: t, keys: map[string]*mvccpb.KeyValue{}}
	m.header.ClusterId, m.header.MemberId, m.header.RaftTerm, m.header.Revision = 1, 7, 3, 10
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	m.addr = l.Addr().String()
	s := grpc.NewServer()
	pb.RegisterKVServer(s, m)
	pb.RegisterWatchServer(s, m)
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	t.Cleanup(func() { s.Stop(); <-done })
	return m
}

// client is an etcd client of the member.
func (m *member) client() *clientv3.Client {
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{m.addr}, Logger: zap.NewNop()})
	require.NoError(m.t, err)
	m.t.Cleanup(func() { _ = c.Close() })
	return c
}

// quick are options for a member that is a microsecond away, on a machine that may be busy.
var quick = FencedOptions{Patience: 500 * time.Millisecond, Stall: 200 * time.Millisecond}

// fenced starts a Fenced before the member, and waits until its watch stands.
func (m *member) fenced(o FencedOptions) *Fenced {
	f := m.begin(o)
	select {
	case <-f.Stands():
	case <-time.After(20 * time.Second):
		require.Fail(m.t, "the watch does not stand", f.Stats())
	}
	return f
}

// holding is a member with the key "a", and a Fenced before it that has it, for a test that runs beside others.
func holding(t *testing.T, o FencedOptions) (*member, *Fenced) {
	t.Helper()
	t.Parallel()
	m := newMember(t)
	m.put("a")
	f := m.fenced(o)
	m.hit(f, "a", "")
	return m, f
}

func (m *member) begin(o FencedOptions) *Fenced {
	c := m.client()
	ctx, cancel := context.WithCancel(context.Background())
	f := NewFenced(ctx, c, o)
	m.t.Cleanup(func() { cancel(); <-f.Done() })
	return f
}

// at is the header of now. m.mu is held.
func (m *member) at() *pb.ResponseHeader {
	return &pb.ResponseHeader{ClusterId: m.header.ClusterId, MemberId: m.header.MemberId, RaftTerm: m.header.RaftTerm,
		Revision: m.header.Revision}
}

// put writes the keys in one revision, with its number as their value, and delivers it unless the member is quiet.
func (m *member) put(keys ...string) (rev int64) { return m.write(mvccpb.Event_PUT, keys...) }

func (m *member) delete(keys ...string) (rev int64) { return m.write(mvccpb.Event_DELETE, keys...) }

func (m *member) write(kind mvccpb.Event_EventType, keys ...string) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.header.Revision++
	rev := m.header.Revision
	for _, k := range keys {
		if delete(m.keys, k); kind == mvccpb.Event_PUT {
			m.keys[k] = &mvccpb.KeyValue{Key: []byte(k), Value: fmt.Append(nil, rev), ModRevision: rev}
		}
	}
	r := events(kind, rev, keys...)
	r.Header = m.at()
	m.log = append(m.log, r)
	if !m.quiet {
		m.deliver(r)
	}
	return rev
}

func events(kind mvccpb.Event_EventType, rev int64, keys ...string) *pb.WatchResponse {
	r := &pb.WatchResponse{}
	for _, k := range keys {
		r.Events = append(r.Events, &mvccpb.Event{Type: kind, Kv: &mvccpb.KeyValue{Key: []byte(k), ModRevision: rev}})
	}
	return r
}

// deliver sends a response on every open watch. m.mu is held.
func (m *member) deliver(r *pb.WatchResponse) {
	if r.Header == nil {
		r.Header = m.at()
	}
	for _, s := range m.streams {
		s.send <- r
	}
}

// say sends a response on every open watch.
func (m *member) say(r *pb.WatchResponse) { m.set(func() { m.deliver(r) }) }

// set changes the member.
func (m *member) set(change func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change()
}

// cut ends every open watch.
func (m *member) cut() {
	m.set(func() {
		for _, s := range m.streams {
			close(s.end)
		}
		m.streams = nil
	})
}

func (m *member) Range(ctx context.Context, r *pb.RangeRequest) (*pb.RangeResponse, error) {
	resp, err := m.answer(r)
	m.mu.Lock()
	delay := m.delay
	m.mu.Unlock()
	if delay != nil {
		delay(r)
	}
	return resp, err
}

func isBarrier(r *pb.RangeRequest) bool { return r.CountOnly && string(r.Key) == "\x00" }

func (m *member) answer(r *pb.RangeRequest) (*pb.RangeResponse, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r.Serializable {
		m.serial++
	}
	if isBarrier(r) {
		m.barriers++
	} else {
		m.ranges++
	}
	if m.rangeErr != nil {
		return nil, m.rangeErr
	}
	if m.stale != nil && !isBarrier(r) {
		return m.stale, nil
	}
	if m.lagging != nil && r.Serializable {
		return m.lagging, nil
	}
	resp := &pb.RangeResponse{Header: m.at()}
	for k, kv := range m.keys {
		switch {
		case k == string(r.Key), string(r.RangeEnd) == "\x00" && k >= string(r.Key),
			k >= string(r.Key) && k < string(r.RangeEnd):
			resp.Kvs = append(resp.Kvs, kv)
		}
	}
	slices.SortFunc(resp.Kvs, func(a, b *mvccpb.KeyValue) int { return cmp.Compare(string(a.Key), string(b.Key)) })
	resp.Count = int64(len(resp.Kvs))
	resp.Kvs = slices.DeleteFunc(resp.Kvs, func(kv *mvccpb.KeyValue) bool { return kv.ModRevision < r.MinModRevision })
	return resp, nil
}

func (m *member) Put(_ context.Context, r *pb.PutRequest) (*pb.PutResponse, error) {
	rev := m.put(string(r.Key))
	m.mu.Lock()
	defer m.mu.Unlock()
	h := m.at()
	h.Revision = rev
	return &pb.PutResponse{Header: h}, nil
}

func (m *member) Watch(w pb.Watch_WatchServer) error {
	in, err := w.Recv()
	if err != nil {
		return err
	}
	c := in.GetCreateRequest()
	s := &stream{send: make(chan *pb.WatchResponse, 10_000), end: make(chan struct{})}
	m.mu.Lock()
	all := string(c.Key) == "\x00" // a proxy watches for its leader, too, a key that is never written
	if all {
		m.created = append(m.created, c)
	}
	var first *pb.WatchResponse
	if all && m.refuse != nil {
		first = m.refuse(s)
	}
	if first == nil {
		first = &pb.WatchResponse{Header: m.at(), Created: true}
	}
	if all && !first.Canceled {
		m.streams = append(m.streams, s)
	}
	for _, r := range m.log {
		if all && m.replays && c.StartRevision > 0 && r.Header.Revision >= c.StartRevision {
			s.send <- r
		}
	}
	m.mu.Unlock()
	go func() { // ends with the stream
		for {
			r, err := w.Recv()
			if err != nil {
				return
			}
			if r.GetProgressRequest() != nil {
				m.set(func() { m.progress++ })
			}
		}
	}()
	defer m.set(func() { m.streams = slices.DeleteFunc(m.streams, func(o *stream) bool { return o == s }) })
	if err := w.Send(first); err != nil || first.Canceled {
		return err
	}
	for {
		select {
		case r := <-s.send:
			if err := w.Send(r); err != nil {
				return err
			}
		case <-s.end:
			return status.Error(codes.Unavailable, "the connection broke") // etcd's client resumes after this
		case <-w.Context().Done():
			return w.Context().Err()
		}
	}
}

// counted is how many reads and barriers the member has answered.
func (m *member) counted() (ranges, barriers int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ranges, m.barriers
}

// look reads keys from key to end, and says what they are worth.
func (m *member) look(kv pb.KVServer, key, end string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return m.read(ctx, kv, key, end)
}

func (m *member) read(ctx context.Context, kv pb.KVServer, key, end string) string {
	r, err := kv.Range(ctx, &pb.RangeRequest{Key: []byte(key), RangeEnd: []byte(end), Serializable: true})
	require.NoError(m.t, err)
	s := ""
	for _, kv := range r.Kvs {
		s += fmt.Sprintf("%s=%s ", kv.Key, kv.Value)
	}
	return s
}

// crowded reads a key many times, and fails if each read waits for a second.
func (m *member) crowded(f *Fenced, n int, key string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(n)*time.Second)
	defer cancel()
	for range n {
		require.Equal(m.t, "a=11 ", m.read(ctx, f, key, ""))
	}
}

// hit reads a key twice, so that it is kept: the second answer must have come from what is kept.
func (m *member) hit(f *Fenced, key, end string) string {
	m.t.Helper()
	was := m.look(f, key, end)
	hits := f.Stats().Hits
	require.Equal(m.t, was, m.look(f, key, end))
	require.Equal(m.t, hits+1, f.Stats().Hits, "it was not kept: %+v", f.Stats())
	return was
}

// eventually waits for a condition that a goroutine of f brings about.
func (m *member) eventually(what string, cond func() bool) {
	m.t.Helper()
	require.Eventually(m.t, cond, 20*time.Second, time.Millisecond, what)
}
