package record_test

import (
	"strings"
	"testing"

	micro "github.com/micro/go-micro/v2/registry"
	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/naming/endpoints"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"ghostroute/harness/hangup"
	"ghostroute/harness/internal/onemember"
	"ghostroute/harness/probe"
	"ghostroute/harness/proxy"
	"ghostroute/harness/record"
	"ghostroute/harness/registry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, hangup.KnownLeaks()...) }

// What clients read through a relay is what a probe asks, byte for byte: go-micro's registry, etcd's resolver and
// etcdctl, each by its own code.
func TestFormsAreWhatClientsSend(t *testing.T) {
	f := onemember.Start(t)
	p := f.Proxy("p1", proxy.Stock())
	relay, err := record.Listen(f.Ctx, "127.0.0.1:0", p.Addr(), nil)
	f.NoError(err)
	t.Cleanup(relay.Close)

	reg, err := registry.New(f.Ctx, registry.Config{Client: "g1", Addresses: []string{relay.Addr()}, History: f.History})
	f.NoError(err)
	t.Cleanup(func() { reg.Close() })
	f.NoError(reg.Register(&micro.Service{Name: "greeter", Version: "v1",
		Nodes: []*micro.Node{{Id: "greeter-v1-a", Address: "127.0.0.1:1"}}}))
	_, err = reg.GetService("greeter")
	f.NoError(err)
	_, err = reg.ListServices()
	f.NoError(err)

	c, err := clientv3.New(clientv3.Config{Endpoints: []string{relay.Addr()}, Logger: zap.NewNop()})
	f.NoError(err)
	t.Cleanup(func() { c.Close() })
	resolver, err := endpoints.NewManager(c, "/micro/registry/named")
	f.NoError(err)
	_, err = resolver.List(f.Ctx)
	f.NoError(err)
	// etcdctl/ctlv3/command/get_command.go, getGetOp: --prefix --keys-only --consistency=s
	_, err = c.Get(f.Ctx, "/micro/registry/greeter/", clientv3.WithSerializable(), clientv3.WithLimit(0),
		clientv3.WithSort(clientv3.SortByKey, clientv3.SortNone), clientv3.WithPrefix(), clientv3.WithKeysOnly())
	f.NoError(err)
	// cilium's pkg/kvstore/etcd.go, paginatedList, its first page
	_, err = c.Get(f.Ctx, "/micro/registry/greeter/", clientv3.WithRange("/micro/registry/greeter0"),
		clientv3.WithSort(clientv3.SortByKey, clientv3.SortAscend), clientv3.WithRev(0), clientv3.WithSerializable(),
		clientv3.WithLimit(256))
	f.NoError(err)

	asked := map[string][]string{}
	for _, form := range probe.Forms() {
		for line, calls := range probe.Asked(form, "/micro/registry/", []string{"greeter", "named"},
			[]string{"/micro/registry/greeter/greeter-v1-a"}) {
			asked[line] = append(asked[line], calls...)
		}
	}
	var whose []string
	for _, r := range relay.Reads() {
		f.Equal(record.MayLie, r.Kind(), "%s", probe.Line(r.Request))
		f.NotEmpty(asked[probe.Line(r.Request)], "no form asks for %s", probe.Line(r.Request))
		whose = append(whose, asked[probe.Line(r.Request)]...)
	}
	f.Subset(whose, []string{"register Register", "go-micro GetService", "go-micro ListServices", "naming List",
		"etcdctl get --prefix --keys-only", "cilium list"})
}

// A stream passes the relay, errors keep their codes, and what is linearizable is not taken for serializable.
func TestRelay(t *testing.T) {
	f := onemember.Start(t)
	_, err := record.Listen(f.Ctx, "127.0.0.1:0", "127.0.0.1:1", nil)
	f.ErrorContains(err, "nothing reached at 127.0.0.1:1")
	relay, err := record.Listen(f.Ctx, "127.0.0.1:0", "http://"+f.Member(), nil)
	f.NoError(err)
	t.Cleanup(relay.Close)
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{relay.Addr()}, Logger: zap.NewNop()})
	f.NoError(err)
	t.Cleanup(func() { c.Close() })

	events := c.Watch(f.Ctx, "k", clientv3.WithCreatedNotify())
	f.True((<-events).Created)
	_, err = c.Put(f.Ctx, "k", "v")
	f.NoError(err)
	f.Equal("v", string((<-events).Events[0].Kv.Value))
	_, err = c.Get(f.Ctx, "k")
	f.NoError(err)
	_, err = c.Get(f.Ctx, "k", clientv3.WithRev(1), clientv3.WithSerializable())
	f.NoError(err)
	_, err = c.Get(f.Ctx, "k", clientv3.WithRev(100))
	f.ErrorContains(err, "required revision is a future revision")
	for range 3 {
		_, err = c.Get(f.Ctx, "k", clientv3.WithSerializable())
		f.NoError(err)
	}
	var out strings.Builder
	f.NoError(record.Write(&out, relay.Reads()))
	f.Equal("# 1 time, by 127.0.0.1\nget k\n"+
		"# 1 time, by 127.0.0.1\nget --consistency=s --rev=1 k\n"+
		"# 1 time, by 127.0.0.1\nget --rev=100 k\n"+
		"# 3 times, by 127.0.0.1\nget --consistency=s k\n", out.String())
	reads, err := record.Parse(strings.NewReader(out.String()))
	f.NoError(err)
	f.Equal(1, record.Lying(reads))
	f.Equal(3, reads[3].Times)
	f.Equal([]record.Kind{record.Seeds, record.Past, record.Past, record.MayLie},
		[]record.Kind{reads[0].Kind(), reads[1].Kind(), reads[2].Kind(), reads[3].Kind()})

	for _, bad := range []string{"", "put k v", "get", "get --limit=x k", "get --prefix a b", `get "k`, "get -w json k"} {
		_, err := record.Parse(strings.NewReader(bad))
		f.Error(err, bad)
	}
}

// Any request is written so that it is read again.
func TestLinesAreReadAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SliceOfN(rapid.Byte(), 1, 6).Draw(t, "key")
		number := rapid.Int64Range(0, 3)
		r := &pb.RangeRequest{Key: key, Serializable: rapid.Bool().Draw(t, "s"), KeysOnly: rapid.Bool().Draw(t, "k"),
			CountOnly: rapid.Bool().Draw(t, "c"), Limit: number.Draw(t, "limit"), Revision: number.Draw(t, "rev"),
			MinModRevision: number.Draw(t, "a"), MaxModRevision: number.Draw(t, "b"), MinCreateRevision: number.Draw(t, "x"),
			MaxCreateRevision: number.Draw(t, "y"), SortTarget: pb.RangeRequest_SortTarget(rapid.IntRange(0, 4).Draw(t, "t")),
			SortOrder: pb.RangeRequest_SortOrder(rapid.IntRange(0, 2).Draw(t, "o"))}
		switch rapid.IntRange(0, 3).Draw(t, "range") {
		case 1:
			r.RangeEnd = []byte(clientv3.GetPrefixRangeEnd(string(key)))
		case 2:
			r.RangeEnd = []byte{0}
		case 3:
			r.RangeEnd = rapid.SliceOfN(rapid.Byte(), 1, 6).Draw(t, "end")
		}
		if r.SortTarget == pb.RangeRequest_KEY && r.SortOrder == pb.RangeRequest_ASCEND {
			r.SortOrder = pb.RangeRequest_NONE // no client of clientv3 sends that
		}
		again, err := probe.ParseLine(probe.Line(r))
		require.NoError(t, err, probe.Line(r))
		require.True(t, proto.Equal(r, again), "%v\n%v\n%s", r, again, probe.Line(r))
	})
}
