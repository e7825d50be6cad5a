package fresh

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
)

// heap is what is in use once everything else was collected, in bytes. Who calls it must not run beside other tests.
func heap() int64 {
	runtime.GC()
	runtime.GC() // what sync.Pool kept over the first
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// taken is how much more than before is in use, once that is less than most: what was asked last is given up by all who
// carried it, however long that takes on a busy machine.
func (m *member) taken(before, most int64) (took int64) {
	m.eventually(fmt.Sprintf("less than %d bytes of heap are in use", most), func() bool {
		took = heap() - before
		return took < most
	})
	return took
}

// spare is what a measured heap may hold beside what is kept: gRPC's buffers, stacks, and what a test holds itself.
const spare = 6 << 20

// Ten thousand ranges are read, and what is kept of them stays within its bound. One event that is in all of them drops
// what was kept.
func TestTenThousandRangesStayWithinTheirBound(t *testing.T) {
	const n, most = 10_000, 4 << 20
	for name, start := range keepers(FencedOptions{MaxBytes: most, Patience: 20 * time.Second, Stall: time.Hour}) {
		t.Run(name, func(t *testing.T) {
			m := newMember(t)
			m.put("a")
			kv := start(m)
			before := heap()
			each(8, func(i int) {
				for r := i; r < n; r += 8 {
					m.look(kv, "a", fmt.Sprintf("b%05d", r))
					if r%100 == 0 {
						assert.LessOrEqual(t, statsFor(kv).bytes, int64(most))
					}
				}
			})
			took := m.taken(before, most+spare)
			s := statsFor(kv)
			t.Logf("%d of %d answers are kept: %d bytes as an estimate, %d bytes of heap", s.answers, n, s.bytes, took)
			require.Greater(t, s.bytes, int64(most*9/10))
			rev := m.put("a")
			if f, watches := kv.(*Fenced); watches {
				m.eventually("delivered", func() bool { return f.Stats().Seen == rev })
				require.Less(t, f.Stats().Bytes, s.bytes)
			}
			require.Equal(t, fmt.Sprintf("a=%d ", rev), m.look(kv, "a", fmt.Sprintf("b%05d", n-1)))
		})
	}
}

// Values of a megabyte are kept as long as there is room; a range of all of them is read, and not kept.
func TestBigValuesStayWithinTheirBound(t *testing.T) {
	const n, size, most = 20, 1 << 20, 12 << 20
	for name, start := range keepers(FencedOptions{MaxBytes: most, Patience: 20 * time.Second, Stall: time.Hour}) {
		t.Run(name, func(t *testing.T) {
			m := newMember(t)
			big := strings.Repeat("x", size)
			m.set(func() {
				for i := range n {
					k := fmt.Sprintf("k%02d", i)
					m.keys[k] = &mvccpb.KeyValue{Key: []byte(k), Value: []byte(big), ModRevision: 10}
				}
			})
			kv := start(m)
			before := heap()
			for range 2 {
				for i := range n {
					k := fmt.Sprintf("k%02d", i)
					require.Equal(t, fmt.Sprintf("%s=%s ", k, big), m.look(kv, k, ""))
					require.LessOrEqual(t, statsFor(kv).bytes, int64(most))
				}
				require.Len(t, m.look(kv, "k", "l"), n*(size+len("k00= ")))
			}
			took := m.taken(before, most+spare)
			s := statsFor(kv)
			t.Logf("%d answers are kept: %d bytes as an estimate, %d bytes of heap", s.answers, s.bytes, took)
			require.Greater(t, s.bytes, int64(most-2*size))
		})
	}
}

// statsFor is what a cache says of itself.
func statsFor(kv pb.KVServer) stats {
	if f, ok := kv.(*Fenced); ok {
		return statsOf(f.Stats())
	}
	return kv.(*revalidate).stats()
}

// A thousand readers come at once, again and again while the key changes. None is told less than what was acknowledged
// before it came, and the members are asked by a small part of them.
func TestAThousandReadersAtOnce(t *testing.T) {
	const n, times = 1000, 3
	for name, start := range caches(FencedOptions{Patience: 20 * time.Second, Stall: time.Hour}) {
		t.Run(name, func(t *testing.T) {
			m := newMember(t)
			kv := start(m)
			ranges, barriers := m.counted()
			for range times {
				rev := m.put("a")
				each(n, func(int) {
					r, err := kv.Range(t.Context(), &pb.RangeRequest{Key: []byte("a"), Serializable: true})
					if assert.NoError(t, err) && assert.Len(t, r.Kvs, 1) {
						assert.Equal(t, fmt.Sprint(rev), string(r.Kvs[0].Value))
					}
				})
			}
			r, b := m.counted()
			t.Logf("%d reads: %d reads and %d barriers upstream", n*times, r-ranges, b-barriers)
			require.Less(t, r-ranges+b-barriers, n*times/5)
		})
	}
}

// Readers that take nothing of what they are sent hold up nobody else, nor the watch; what gRPC holds for them is gone
// when they are.
func TestSlowReadersHoldNobodyUp(t *testing.T) {
	const n, size = 30, 1 << 20
	for name, start := range caches(FencedOptions{Patience: 20 * time.Second, Stall: time.Hour}) {
		t.Run(name, func(t *testing.T) {
			m := newMember(t)
			m.set(func() {
				m.keys["a"] = &mvccpb.KeyValue{Key: []byte("a"), Value: make([]byte, size), ModRevision: 10}
			})
			kv := start(m)
			addr := serve(t, kv)
			read := func(ctx context.Context, c pb.KVClient, key string) (int, error) {
				r, err := c.Range(ctx, &pb.RangeRequest{Key: []byte(key), Serializable: true}, unlimited)
				if err != nil || len(r.Kvs) == 0 {
					return 0, err
				}
				return len(r.Kvs[0].Value), nil
			}
			quick := dial(t, addr, func(c net.Conn) net.Conn { return c })
			got, err := read(t.Context(), quick, "a")
			require.NoError(t, err)
			require.Equal(t, size, got)
			before := heap()

			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			free, let := context.WithCancel(t.Context()) // when no read is under way: one that is let go on is answered
			defer let()
			stuck := make(chan struct{}, n)
			var readers sync.WaitGroup
			for range n {
				slow := dial(t, addr, func(c net.Conn) net.Conn {
					return &slowConn{Conn: c, left: 10_000, stuck: stuck, free: free}
				})
				readers.Go(func() {
					_, err := read(ctx, slow, "a")
					assert.Error(t, err)
				})
			}
			for range n {
				<-stuck
			}
			rev := m.put("b")
			got, err = read(t.Context(), quick, "b")
			require.NoError(t, err)
			require.Equal(t, len(fmt.Sprint(rev)), got)
			for range 5 {
				got, err = read(t.Context(), quick, "a")
				require.NoError(t, err)
				require.Equal(t, size, got)
			}
			held := heap() - before
			cancel()
			readers.Wait()
			let()
			m.eventually("nothing is held for them", func() bool { return heap()-before < spare })
			t.Logf("%d bytes were held for %d slow readers of %d bytes", held, n, size)
		})
	}
}

// caches are the three before a member, by name.
func caches(o FencedOptions) map[string]func(*member) pb.KVServer {
	bounded := o
	bounded.MaxStaleness = time.Nanosecond // as hardly any is within it, each read is at a barrier
	return map[string]func(*member) pb.KVServer{
		"consistent": func(m *member) pb.KVServer { return m.fenced(o) },
		"coherent":   func(m *member) pb.KVServer { return m.fenced(bounded) },
		"revalidate": func(m *member) pb.KVServer {
			ctx, cancel := context.WithCancel(context.Background())
			kv, done := NewRevalidate(ctx, m.client(), RevalidateOptions{Overtake: time.Hour, MaxBytes: o.MaxBytes})
			m.t.Cleanup(func() { cancel(); <-done })
			return kv
		},
	}
}

// keepers are those of the three that keep answers each in a way of its own.
func keepers(o FencedOptions) map[string]func(*member) pb.KVServer {
	all := caches(o)
	delete(all, "coherent") // as consistent
	return all
}

// each calls do n times at once, and waits.
func each(n int, do func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { do(i) })
	}
	wg.Wait()
}

// serve is where a KV server is to be found. It ends with the test.
func serve(t *testing.T, kv pb.KVServer) (addr string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := grpc.NewServer()
	pb.RegisterKVServer(s, kv)
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	t.Cleanup(func() { s.Stop(); <-done })
	return l.Addr().String()
}

// dial is a client over a connection of its own, as to makes it.
func dial(t *testing.T, addr string, to func(net.Conn) net.Conn) pb.KVClient {
	c, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
			if err != nil {
				return nil, err
			}
			return to(c), nil
		}))
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return pb.NewKVClient(c)
}

// slowConn is read from until so many bytes have come, and then not until free ends.
type slowConn struct {
	net.Conn
	left  int // only gRPC's one reader of a connection uses it
	stuck chan<- struct{}
	free  context.Context
}

func (c *slowConn) Read(b []byte) (int, error) {
	if c.left <= 0 {
		select {
		case c.stuck <- struct{}{}:
		default:
		}
		<-c.free.Done()
	}
	n, err := c.Conn.Read(b)
	c.left -= n
	return n, err
}
