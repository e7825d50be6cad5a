package relay_test

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	"golang.org/x/net/http2"
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
	r := start(t, to, cfg)
	return r, dial(t, r.Addr())
}

func start(t testing.TB, to link.Target, cfg relay.Config) *relay.Relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	cfg.Listener, cfg.To = l, to
	r := relay.Start(cfg)
	t.Cleanup(r.Close)
	return r
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

// What asks whether a relay's end is alive is answered there, and not passed on: a server of gRPC ends the connection
// of a client that asks more often than it is answered, and a relay may hold what answers it.
func TestPingsAreAnsweredHere(t *testing.T) {
	t.Parallel()
	f := require.New(t)
	behind, err := net.Listen("tcp", "127.0.0.1:0")
	f.NoError(err)
	defer behind.Close()
	r := start(t, link.To("tcp", behind.Addr().String()), relay.Config{})
	asks, err := net.Dial("tcp", r.Addr())
	f.NoError(err)
	defer asks.Close()
	is, err := behind.Accept()
	f.NoError(err)
	defer is.Close()
	soon := time.Now().Add(10 * time.Second)
	f.NoError(errors.Join(asks.SetDeadline(soon), is.SetDeadline(soon)))

	_, err = asks.Write([]byte(http2.ClientPreface))
	f.NoError(err)
	client, server := http2.NewFramer(asks, asks), http2.NewFramer(is, is)
	f.NoError(client.WriteSettings())
	f.NoError(client.WritePing(false, [8]byte{1}))
	frame, err := client.ReadFrame()
	f.NoError(err)
	pong, ok := frame.(*http2.PingFrame)
	f.True(ok && pong.IsAck(), frame)
	f.Equal([8]byte{1}, pong.Data)

	f.NoError(client.WriteSettingsAck()) // behind the ping
	_, err = io.ReadFull(is, make([]byte, len(http2.ClientPreface)))
	f.NoError(err)
	for _, ack := range []bool{false, true} {
		frame, err := server.ReadFrame()
		f.NoError(err)
		settings, ok := frame.(*http2.SettingsFrame)
		f.True(ok && settings.IsAck() == ack, frame)
	}
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
