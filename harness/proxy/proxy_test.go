package proxy_test

import (
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness/history"
	"ghostroute/harness/internal/onemember"
	"ghostroute/harness/onreal"
	"ghostroute/harness/program"
	"ghostroute/harness/proxy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type fixture struct{ *onemember.Fixture }

func start(t *testing.T) *fixture { return &fixture{onemember.Start(t)} }

// able are those of the variants that what the tests run on can be.
func able(t *testing.T, all ...proxy.Variant) []proxy.Variant {
	if onreal.Program(t) == (program.Program{}) {
		return all
	}
	return slices.DeleteFunc(all, func(v proxy.Variant) bool { return v.Lacks(onreal.Program(t)) != "" })
}

func (f *fixture) client(p *proxy.Proxy) *clientv3.Client {
	f.T.Helper()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{p.Addr()}})
	require.NoError(f.T, err)
	f.T.Cleanup(func() { c.Close() })
	return c
}

func (f *fixture) put(c *clientv3.Client, key, value string) int64 {
	f.T.Helper()
	r, err := c.Put(f.Ctx, key, value)
	require.NoError(f.T, err)
	return r.Header.Revision
}

// get reads serializably and returns the value, "" for none, the revision and where it came from.
func (f *fixture) get(c *clientv3.Client, key string) (string, int64, string) {
	f.T.Helper()
	var md metadata.MD
	request := &pb.RangeRequest{Key: []byte(key), Serializable: true}
	r, err := pb.NewKVClient(c.ActiveConnection()).Range(f.Ctx, request, grpc.Trailer(&md))
	require.NoError(f.T, err)
	value, source := "", ""
	if len(r.Kvs) > 0 {
		value = string(r.Kvs[0].Value)
	}
	if s := md.Get(proxy.TrailerSource); len(s) == 1 {
		source = s[0]
	}
	return value, r.Header.Revision, source
}

func TestAWriteThroughAnotherProxyIsNeverSeen(t *testing.T) {
	f := start(t)
	p1, p2 := f.Proxy("p1", proxy.Stock()), f.Proxy("p2", proxy.Stock())
	c1, c2 := f.client(p1), f.client(p2)

	rev := f.put(c1, "k", "old")
	v, r, s := f.get(c2, "k")
	require.Equal(t, []any{"old", rev, "miss"}, []any{v, r, s})
	f.put(c1, "k", "new")
	v, r, s = f.get(c2, "k")
	require.Equal(t, []any{"old", rev, "hit"}, []any{v, r, s}, "p2's entry was filled before the write passed p1")
	v, _, s = f.get(c1, "k")
	require.Equal(t, []any{"new", "miss"}, []any{v, s}, "the proxy that the write passed forgot")

	e, err := f.History.Wait(f.Ctx, 0, func(e history.Event) bool {
		return e.Range != nil && e.Range.Source == history.Hit
	})
	require.NoError(t, err)
	require.Equal(t, "p2", e.Who)
	require.Equal(t, rev, e.Range.Revision)
	require.Equal(t, []string{"k"}, e.Range.Keys)
}

func TestARestartForgetsAndKeepsTheAddress(t *testing.T) {
	f := start(t)
	p := f.Proxy("p1", proxy.Stock())
	c := f.client(p)
	f.put(c, "k", "old")
	f.get(c, "k")
	_, err := f.Cluster.Client().Put(f.Ctx, "k", "new")
	require.NoError(t, err)
	v, _, s := f.get(c, "k")
	require.Equal(t, []any{"old", "hit"}, []any{v, s})

	addr := p.Addr()
	p.Stop()
	_, err = net.Dial("tcp", addr)
	require.Error(t, err, "it does not listen")
	require.NoError(t, p.Restart(f.Ctx))
	require.Equal(t, addr, p.Addr())
	v, _, s = f.get(f.client(p), "k")
	require.Equal(t, []any{"new", "miss"}, []any{v, s})
}

func TestLookingAtTheCacheFillsNothing(t *testing.T) {
	f := start(t)
	p := f.Proxy("p1", proxy.Stock())
	c := f.client(p)
	require.Empty(t, p.Cache(f.Ctx))
	f.put(c, "k", "v")
	f.get(c, "k")
	f.get(c, "absent")
	cached := p.Cache(f.Ctx)
	require.Len(t, cached, 2)
	require.Equal(t, "absent", cached[0].Key)
	require.Empty(t, cached[0].Keys)
	require.Equal(t, []string{"k"}, cached[1].Keys)

	f.put(c, "k", "w")
	require.Len(t, p.Cache(f.Ctx), 1, "the put cleared k's entry, and looking did not bring it back")
	_, _, s := f.get(c, "k")
	require.Equal(t, "miss", s)
}

// The race of PR 21870: Put clears the cache before the write reaches etcd, so a read in between brings the old answer
// back for ever.
func TestAReadDuringAHeldPutCachesTheOldAnswerForEver(t *testing.T) {
	for _, v := range able(t, proxy.Stock(), proxy.InvalidateAfter()) {
		t.Run(v.String(), func(t *testing.T) {
			f := start(t)
			p := f.Proxy("p1", v)
			c := f.client(p)
			f.put(c, "k", "old")
			f.get(c, "k")

			gate := p.Hold(proxy.Hold{RPC: "Put", Key: "k", Point: history.BeforeMember})
			put := make(chan error, 1)
			go func() { _, err := c.Put(f.Ctx, "k", "new"); put <- err }()
			require.NoError(t, gate.Caught(f.Ctx))
			got, _, s := f.get(c, "k")
			require.Equal(t, []any{"old", "miss"}, []any{got, s})
			gate.Release()
			require.NoError(t, <-put)

			got, _, s = f.get(c, "k")
			if v.Name == "" {
				require.Equal(t, []any{"old", "hit"}, []any{got, s})
			} else {
				require.Equal(t, []any{"new", "miss"}, []any{got, s})
			}
		})
	}
}

// A killed process finishes nothing: what it held on the way to the member never arrives. Were it let go instead, some
// of fifty would.
func TestAProxyThatStopsLosesWhatItHolds(t *testing.T) {
	const puts = 50
	f := start(t)
	p := f.Proxy("p1", proxy.Stock())
	c := f.client(p)
	p.Hold(proxy.Hold{RPC: "Put", Key: "k", Point: history.BeforeMember, Count: puts})
	errs := make(chan error, puts)
	for i := range puts {
		go func() { _, err := c.Put(f.Ctx, fmt.Sprintf("k%d", i), "new"); errs <- err }()
	}
	f.Eventually(func() bool {
		n := 0
		for _, e := range f.History.Events() {
			if e.Fault != nil && e.Fault.Op == "fire" {
				n++
			}
		}
		return n == puts
	}, 10*time.Second, time.Millisecond)
	p.Stop()
	for range puts {
		f.Error(<-errs)
	}
	r, err := f.Cluster.Client().Get(f.Ctx, "k", clientv3.WithPrefix(), clientv3.WithCountOnly())
	f.NoError(err)
	f.Zero(r.Count)
}

// A Range answer that was on its way while a delete passed is cached after it, whatever the order of clearing and
// writing.
func TestAnAnswerHeldWhileADeletePassesIsCachedForEver(t *testing.T) {
	for _, v := range able(t, proxy.Stock(), proxy.InvalidateAfter(), proxy.Watching()) {
		for _, serializable := range []bool{true, false} {
			t.Run(v.String(), func(t *testing.T) {
				f := start(t)
				p := f.Proxy("p1", v)
				c := f.client(p)
				f.put(c, "k", "ghost")

				gate := p.Hold(proxy.Hold{RPC: "Range", Key: "k"})
				read := make(chan error, 1)
				go func() {
					var opts []clientv3.OpOption
					if serializable {
						opts = append(opts, clientv3.WithSerializable())
					}
					_, err := c.Get(f.Ctx, "k", opts...)
					read <- err
				}()
				require.NoError(t, gate.Caught(f.Ctx))
				_, err := c.Delete(f.Ctx, "k")
				require.NoError(t, err)
				if v.Name == "watch" { // its watch has delivered the delete when it has delivered a later put
					f.get(c, "later")
					f.put(f.Cluster.Client(), "later", "x")
					require.Eventually(t, func() bool {
						got, _, _ := f.get(c, "later")
						return got == "x"
					}, 5*time.Second, time.Millisecond)
				}
				gate.Release()
				require.NoError(t, <-read)
				got, _, s := f.get(c, "k")
				require.Equal(t, []any{"ghost", "hit"}, []any{got, s})
			})
		}
	}
}

// What a watch delivers is held on its way to the proxy, and on its way to its client.
func TestAClientsWatchIsHeld(t *testing.T) {
	for _, at := range []history.Point{history.AfterMember, history.BeforeClient} {
		t.Run(string(at), func(t *testing.T) {
			f := start(t)
			p := f.Proxy("p1", proxy.Stock())
			c := f.client(p)
			events := c.Watch(f.Ctx, "k", clientv3.WithCreatedNotify())
			require.True(t, (<-events).Created)
			gate := p.Hold(proxy.Hold{RPC: "Watch", Key: "k", Point: at})
			rev := f.put(f.Cluster.Client(), "k", "v")
			require.NoError(t, gate.Caught(f.Ctx))
			require.Empty(t, events)
			want := int64(0)
			if at == history.BeforeClient { // what is held before the proxy keeps what is behind it from coming
				want = 2
			}
			f.put(f.Cluster.Client(), "k", "v")
			f.put(f.Cluster.Client(), "k", "v")
			require.Eventually(t, func() bool { return gate.Behind() == want }, time.Minute, time.Millisecond)
			gate.Next()
			require.Equal(t, rev, (<-events).Events[0].Kv.ModRevision)
			fired := func(e history.Event) bool { return e.Fault != nil && e.Fault.Op == history.Fire }
			first, err := f.History.Wait(f.Ctx, 0, fired)
			require.NoError(t, err)
			_, err = f.History.Wait(f.Ctx, first.Seq, fired)
			require.NoError(t, err, "what came after it stands there now")
			require.Empty(t, events)
			gate.Release()
			gate.Next() // of what is released nothing is held any more
			require.Equal(t, rev+1, (<-events).Events[0].Kv.ModRevision)
			_, err = f.History.Wait(f.Ctx, 0, func(e history.Event) bool {
				return e.Fault != nil && e.Fault.Op == history.End && e.Fault.Met == want
			})
			require.NoError(t, err)
			require.False(t, p.Watches(), "that it watches is its client's doing")
		})
	}
}

func TestEveryVariantServesAndStops(t *testing.T) {
	for _, v := range able(t, proxy.Variants()...) {
		t.Run(v.String(), func(t *testing.T) {
			f := start(t)
			p := f.Proxy("p1", v)
			c := f.client(p)
			f.put(c, "k", "v")
			got, _, _ := f.get(c, "k")
			require.Equal(t, "v", got)
			_, err := c.Txn(f.Ctx).If(clientv3.Compare(clientv3.Version("k"), ">", 0)).
				Then(clientv3.OpDelete("k"), clientv3.OpGet("k")).Commit()
			require.NoError(t, err)
			got, _, _ = f.get(c, "k")
			require.Empty(t, got)
			lease, err := c.Grant(f.Ctx, 10)
			require.NoError(t, err)
			_, err = c.Revoke(f.Ctx, lease.ID)
			require.NoError(t, err)
			_, err = c.MemberList(f.Ctx)
			require.NoError(t, err)
			require.NoError(t, p.Restart(f.Ctx))
		})
	}
}

func TestBadInput(t *testing.T) {
	f := start(t)
	_, err := proxy.Start(f.Ctx, proxy.Config{Name: "p1"})
	require.ErrorContains(t, err, "a proxy needs a name, at least one upstream member and a history")
	p := f.Proxy("p1", proxy.Stock())
	require.ErrorContains(t, p.Narrow("m9"), `proxy p1 has no upstream member "m9"`)
	_, err = proxy.VariantNamed("tll")
	require.ErrorContains(t, err, `there is no proxy variant "tll"`)
}
