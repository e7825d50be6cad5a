package relay_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"ghostroute/harness/internal/onemember"
	"ghostroute/harness/link"
	"ghostroute/harness/relay"
)

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

	for range 100 { // what is lost takes nothing of the connection's window with it
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
