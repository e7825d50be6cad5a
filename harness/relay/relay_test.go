package relay_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"ghostroute/harness/conn"
	"ghostroute/harness/etcd"
	"ghostroute/harness/hangup"
	"ghostroute/harness/history"
	"ghostroute/harness/internal/onemember"
	"ghostroute/harness/link"
	"ghostroute/harness/relay"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, hangup.KnownLeaks()...) }

// before is a relay before the member, and a client of it.
func before(t testing.TB, to link.Target, cfg relay.Config) (*relay.Relay, *clientv3.Client) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	cfg.Listener, cfg.To = l, to
	r := relay.Start(cfg)
	t.Cleanup(r.Close)
	return r, dial(t, r.Addr())
}

func dial(t testing.TB, addr string) *clientv3.Client {
	t.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{addr}, Logger: zap.NewNop()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, hangup.Close(c)) })
	return c
}

// What etcd's client does works as it does without a relay: calls, streams both ways, errors, large answers.
func TestEverythingPasses(t *testing.T) {
	f := onemember.Start(t)
	_, c := before(t, link.To("tcp", f.Member()), relay.Config{})

	lease, err := c.Grant(f.Ctx, 60)
	f.NoError(err)
	beat, err := c.KeepAlive(f.Ctx, lease.ID)
	f.NoError(err)
	f.NotNil(<-beat)
	ctx, cancel := context.WithCancel(f.Ctx)
	events := c.Watch(ctx, "k", clientv3.WithPrefix(), clientv3.WithCreatedNotify())
	f.True((<-events).Created)
	large := strings.Repeat("x", 1<<20)
	put, err := c.Put(f.Ctx, "k1", large, clientv3.WithLease(lease.ID))
	f.NoError(err)
	f.Equal("k1", string((<-events).Events[0].Kv.Key))
	got, err := c.Get(f.Ctx, "k", clientv3.WithPrefix())
	f.NoError(err)
	f.Equal(large, string(got.Kvs[0].Value))
	_, err = c.Compact(f.Ctx, put.Header.Revision)
	f.NoError(err)
	_, err = c.Get(f.Ctx, "k1", clientv3.WithRev(1))
	f.Equal(rpctypes.ErrCompacted, err, "an error is the one it was")
	cancel()
	for range events {
	}
	short, end := context.WithTimeout(f.Ctx, time.Millisecond)
	defer end()
	<-short.Done()
	_, err = c.Get(short, "k1")
	f.ErrorIs(err, context.DeadlineExceeded)
}

// Behind one relay another sees what the first one did to a call.
func TestItsOwnerSeesAndChangesWhatPasses(t *testing.T) {
	f := onemember.Start(t)
	var mu sync.Mutex
	var seen []string
	note := func(s string) { mu.Lock(); defer mu.Unlock(); seen = append(seen, s) }
	behind, _ := before(t, link.To("tcp", f.Member()), relay.Config{Open: func(c *relay.Call) {
		if c.Method == "/etcdserverpb.KV/Range" {
			note("behind " + c.Method + " " + c.Get("token"))
		}
		c.Set("token", "")
	}})
	_, c := before(t, link.To("tcp", behind.Addr()), relay.Config{Open: func(c *relay.Call) {
		switch c.Method {
		case "/etcdserverpb.KV/Put":
			c.Refuse = status.Error(codes.NotFound, "no puts: 100%")
		case "/etcdserverpb.KV/Range":
			c.Set("token", "1")
			r := new(pb.RangeResponse)
			c.Down = func(b []byte) relay.Wait { require.NoError(t, proto.Unmarshal(b, r)); return nil }
			c.Ended = func(err error) []string { return []string{"count", fmt.Sprint(r.Count, err)} }
		case "/etcdserverpb.Watch/Watch":
			c.Up = func(b []byte) relay.Wait {
				r := new(pb.WatchRequest)
				require.NoError(t, proto.Unmarshal(b, r))
				note("watch " + string(r.GetCreateRequest().GetKey()))
				return nil
			}
			c.Down = func(b []byte) relay.Wait {
				r := new(pb.WatchResponse)
				require.NoError(t, proto.Unmarshal(b, r))
				if len(r.Events) == 0 {
					return nil
				}
				return func(context.Context) error { return status.Error(codes.Aborted, "no events") }
			}
			c.Ended = func(err error) []string { note("ended " + status.Code(err).String()); return nil }
		}
	}})
	_, err := c.Put(f.Ctx, "k", "v")
	f.ErrorContains(err, "no puts: 100%")
	_, err = f.Cluster.Client().Put(f.Ctx, "k", "v")
	f.NoError(err)
	var md metadata.MD
	_, err = clientv3.RetryKVClient(c).Range(f.Ctx, &pb.RangeRequest{Key: []byte("k")}, grpc.Trailer(&md))
	f.NoError(err)
	f.Equal([]string{"1 <nil>"}, md.Get("count"))

	w, err := pb.NewWatchClient(c.ActiveConnection()).Watch(f.Ctx)
	f.NoError(err)
	f.NoError(w.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{
		CreateRequest: &pb.WatchCreateRequest{Key: []byte("w")}}}))
	created, err := w.Recv()
	f.NoError(err)
	f.True(created.Created)
	_, err = f.Cluster.Client().Put(f.Ctx, "w", "v")
	f.NoError(err)
	_, err = w.Recv()
	f.Equal(codes.Aborted, status.Code(err))
	mu.Lock()
	defer mu.Unlock()
	f.Equal([]string{"behind /etcdserverpb.KV/Range 1", "watch w", "ended Aborted"}, seen)
}

// Who is before a relay meets what it would meet without: a connection that breaks behind it breaks, and where nothing
// listens nothing answers.
func TestConnectionsEndTogether(t *testing.T) {
	f := onemember.Start(t)
	way, err := link.Listen("way", link.To("tcp", f.Member()))
	f.NoError(err)
	t.Cleanup(func() { f.NoError(way.Close()) })
	r, c := before(t, link.To("tcp", way.Addr()), relay.Config{})
	_, err = c.Get(f.Ctx, "k")
	f.NoError(err)
	f.NoError(way.Cut())
	f.NoError(conn.Lost(f.Ctx, c.ActiveConnection()))
	short, end := context.WithTimeout(f.Ctx, 50*time.Millisecond)
	defer end()
	_, err = c.Get(short, "k")
	f.Error(err)
	way.Mend()
	f.NoError(conn.Ready(f.Ctx, c.ActiveConnection()))
	_, err = c.Get(f.Ctx, "k")
	f.NoError(err)

	f.Len(way.Conns(), 1)
	other := dial(t, r.Addr())
	_, err = other.Get(f.Ctx, "k")
	f.NoError(err)
	f.Len(way.Conns(), 2, "a connection for each")
	f.NoError(other.Close())
	f.Eventually(func() bool { return len(way.Conns()) == 1 }, 10*time.Second, time.Millisecond)
	r.Close()
	f.NoError(conn.Lost(f.Ctx, c.ActiveConnection()))
}

// BenchmarkRelay is what a relay adds to a serializable read of a member.
func BenchmarkRelay(b *testing.B) {
	for name, through := range map[string]bool{"direct": false, "relay": true} {
		b.Run(name, func(b *testing.B) {
			cluster, err := etcd.Start(b.Context(), etcd.Config{Members: 1, Dir: b.TempDir(), History: history.New()})
			require.NoError(b, err)
			defer cluster.Close()
			c := dial(b, cluster.Members[0].Endpoint())
			if through {
				_, c = before(b, link.To("tcp", cluster.Members[0].Endpoint()), relay.Config{})
			}
			var took []time.Duration
			for b.Loop() {
				began := time.Now()
				_, err := c.Get(b.Context(), "k", clientv3.WithSerializable())
				took = append(took, time.Since(began))
				require.NoError(b, err)
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1000, "p50-µs")
		})
	}
}

// holding holds what a method's calls are asked or answered while it is told to, and has the others pass.
type holding struct {
	method string
	hold   chan error // what a call that is held waits for
	caught chan string
}

func (h holding) wait(at string) relay.Wait {
	return func(ctx context.Context) error {
		h.caught <- at
		select {
		case err := <-h.hold:
			return err
		case <-ctx.Done():
			h.caught <- "given up"
			return ctx.Err()
		}
	}
}

func (h holding) open(c *relay.Call) {
	if c.Method == h.method {
		c.Up = func([]byte) relay.Wait { return h.wait("asked") }
		c.Answer = func() relay.Wait { return h.wait("answered") }
	}
}

// A call is held where its owner says so, and no other with it, however large; a caller that gives it up is heard.
func TestACallIsHeldAlone(t *testing.T) {
	f := onemember.Start(t)
	h := holding{"/etcdserverpb.KV/Put", make(chan error), make(chan string, 10)}
	_, c := before(t, link.To("tcp", f.Member()), relay.Config{Open: h.open})
	put := func(ctx context.Context, key string) <-chan error {
		done := make(chan error, 1)
		go func() {
			_, err := c.Put(ctx, key, strings.Repeat("x", 40_000))
			done <- err
		}()
		return done
	}
	value := func() string {
		r, err := c.Get(f.Ctx, "k")
		f.NoError(err)
		if len(r.Kvs) == 0 {
			return ""
		}
		return string(r.Kvs[0].Value[:1])
	}
	done := put(f.Ctx, "k")
	f.Equal("asked", <-h.caught)
	f.Equal("", value(), "it has not come there")
	h.hold <- nil
	f.Equal("answered", <-h.caught)
	f.Equal("x", value(), "its answer has not come back")
	h.hold <- nil
	f.NoError(<-done)

	done = put(f.Ctx, "lost")
	<-h.caught
	h.hold <- status.Error(codes.DataLoss, "lost on its way")
	f.ErrorContains(<-done, "lost on its way")
	done = put(f.Ctx, "lost")
	<-h.caught
	h.hold <- nil
	<-h.caught
	h.hold <- status.Error(codes.DataLoss, "lost on its way back")
	f.ErrorContains(<-done, "lost on its way back")

	for range 10 { // what is lost takes nothing of the connection's window with it
		ctx, cancel := context.WithCancel(f.Ctx)
		done = put(ctx, "given-up")
		f.Equal("asked", <-h.caught)
		cancel()
		f.Equal("given up", <-h.caught)
		f.ErrorIs(<-done, context.Canceled)
	}
	f.Equal("x", value())
	r, err := f.Cluster.Client().Get(f.Ctx, "given-up")
	f.NoError(err)
	f.Empty(r.Kvs)
}

// What is refused has its sender's window back: a connection has 64 KB of it for all of its calls.
func TestWhatIsRefusedWasReceived(t *testing.T) {
	f := onemember.Start(t)
	_, c := before(t, link.To("tcp", f.Member()), relay.Config{Open: func(c *relay.Call) {
		if c.Get("mine") != "" {
			c.Refuse = status.Error(codes.NotFound, "refused")
		}
	}})
	refused := metadata.AppendToOutgoingContext(f.Ctx, "mine", "yes")
	for range 20 {
		_, err := c.Put(refused, "k", strings.Repeat("x", 40_000))
		f.ErrorContains(err, "refused")
	}
	_, err := c.Put(f.Ctx, "k", strings.Repeat("x", 40_000))
	f.NoError(err)
}

// A stream's messages are held one by one, and in order: those before are not, though they came in the same frame.
func TestWhatIsBehindIsHeldToo(t *testing.T) {
	f := onemember.Start(t)
	held := map[string]chan error{"k/2": make(chan error), "k/4": make(chan error)}
	_, c := before(t, link.To("tcp", f.Member()), relay.Config{Open: func(c *relay.Call) {
		if c.Method != "/etcdserverpb.Watch/Watch" {
			return
		}
		c.Down = func(b []byte) relay.Wait {
			r := new(pb.WatchResponse)
			require.NoError(t, proto.Unmarshal(b, r))
			if len(r.Events) == 0 || held[string(r.Events[0].Kv.Key)] == nil {
				return nil
			}
			return func(ctx context.Context) error {
				select {
				case err := <-held[string(r.Events[0].Kv.Key)]:
					return err
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		}
	}})
	told := c.Watch(f.Ctx, "k/", clientv3.WithPrefix(), clientv3.WithCreatedNotify())
	f.True((<-told).Created)
	for n := 1; n <= 5; n++ {
		_, err := f.Cluster.Client().Put(f.Ctx, fmt.Sprint("k/", n), "v")
		f.NoError(err)
	}
	next := func() string { return string((<-told).Events[0].Kv.Key) }
	nothing := func() {
		_, err := c.Get(f.Ctx, "k") // the same connection's
		f.NoError(err)
		select {
		case r := <-told:
			f.Fail("it was held", "%v", r)
		default:
		}
	}
	f.Equal("k/1", next())
	nothing()
	held["k/2"] <- nil
	f.Equal("k/2", next())
	f.Equal("k/3", next())
	nothing()
	held["k/4"] <- nil
	f.Equal("k/4", next())
	f.Equal("k/5", next())
}

// A relay that is drained lets what is under way go on, and takes nothing new.
func TestDrainedItTakesNothingNew(t *testing.T) {
	f := onemember.Start(t)
	r, c := before(t, link.To("tcp", f.Member()), relay.Config{})
	told := c.Watch(f.Ctx, "k", clientv3.WithCreatedNotify())
	f.True((<-told).Created)
	r.Drain()
	short, end := context.WithTimeout(f.Ctx, 200*time.Millisecond)
	defer end()
	_, err := c.Get(short, "k")
	f.Error(err)
	_, err = f.Cluster.Client().Put(f.Ctx, "k", "v")
	f.NoError(err)
	f.Equal("v", string((<-told).Events[0].Kv.Value))
}

// Whatever passes, and however it is held and given up, what comes out is what went in: writes of any size are read as
// they were written, and watches are told of them in order.
func TestWhatComesOutIsWhatWentIn(t *testing.T) {
	f := onemember.Start(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	var mu sync.Mutex
	chance := rand.New(rand.NewPCG(seed, 0))
	now := func() relay.Wait {
		mu.Lock()
		defer mu.Unlock()
		if chance.IntN(3) > 0 {
			return nil
		}
		after := time.Duration(chance.IntN(2000)) * time.Microsecond
		return func(ctx context.Context) error {
			select {
			case <-time.After(after):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	r, c := before(t, link.To("tcp", f.Member()), relay.Config{Open: func(c *relay.Call) {
		c.Up = func([]byte) relay.Wait { return now() }
		c.Answer = now
		c.Down = c.Up
	}})
	var work sync.WaitGroup
	for i := range 6 {
		work.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(i+1)))
			key := fmt.Sprint("k", i)
			watching, over := context.WithCancel(f.Ctx)
			told := c.Watch(watching, key, clientv3.WithCreatedNotify())
			f.True((<-told).Created)
			for n := range 60 {
				value := strings.Repeat(fmt.Sprint(n%10), r.IntN(1<<(3+r.IntN(15))))
				short, cancel := context.WithTimeout(f.Ctx, time.Duration(r.IntN(1000))*time.Microsecond)
				_, _ = c.Get(short, key) // given up, as a rule
				cancel()
				_, err := c.Put(f.Ctx, key, value)
				f.NoError(err)
				got, err := c.Get(f.Ctx, key, clientv3.WithSerializable())
				f.NoError(err)
				f.Equal(value, string(got.Kvs[0].Value))
				f.Equal(value, string((<-told).Events[0].Kv.Value))
			}
			over()
			for range told {
			}
		})
	}
	work.Wait()
	r.Close()
}
