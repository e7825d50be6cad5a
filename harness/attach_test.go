package harness_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	"ghostroute/harness"
	"ghostroute/harness/etcd"
	"ghostroute/harness/history"
	"ghostroute/harness/keys"
	"ghostroute/harness/onreal"
	"ghostroute/harness/program"
	"ghostroute/harness/proxy"
)

// strangers are three members and three proxies that know nothing of a bench, and what somebody keeps there.
type strangers struct {
	*require.Assertions
	ctx       context.Context
	cluster   *etcd.Cluster
	proxies   []*proxy.Proxy
	endpoints harness.Endpoints
	lease     clientv3.LeaseID // of somebody's registration
	before    *clientv3.GetResponse
}

// theirs are somebody's keys: around the run's own, which begin with "/micro/registry/ghostroute-".
var theirs = []string{"/micro/registry/ghostroutd/x", "/micro/registry/ghostroute-", "/micro/registry/ghostroute-~/x",
	"/micro/registry/hello/hello-v1-a", "/a", "/z"}

func someone(t testing.TB) *strangers {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	s := &strangers{Assertions: require.New(t), ctx: ctx}
	dir, err := os.MkdirTemp("", "strangers-")
	s.NoError(err)
	t.Cleanup(func() { s.NoError(os.RemoveAll(dir)) })
	run := onreal.Program(t)
	s.cluster, err = etcd.Start(ctx, etcd.Config{Members: 3, Dir: dir, History: history.New(),
		Programs: program.Alike(run)})
	s.NoError(err)
	t.Cleanup(func() { s.NoError(s.cluster.Close()) })
	var up []proxy.Upstream
	for _, m := range s.cluster.Members {
		s.endpoints.Members = append(s.endpoints.Members, m.Endpoint())
		up = append(up, proxy.Upstream{Name: m.Name, Addr: m.Endpoint(), ID: m.ID()})
	}
	for i := range 3 {
		p, err := proxy.Start(ctx, proxy.Config{Name: fmt.Sprint("p", i+1), Variant: proxy.Stock(), Upstream: up,
			History: history.New(), Program: run, Dir: dir})
		s.NoError(err)
		t.Cleanup(func() { s.NoError(p.Close()) })
		s.proxies = append(s.proxies, p)
		s.endpoints.Proxies = append(s.endpoints.Proxies, p.Addr())
	}
	l, err := s.cluster.Client().Grant(ctx, 600)
	s.NoError(err)
	s.lease = l.ID
	for _, key := range theirs {
		_, err := s.cluster.Client().Put(ctx, key, "theirs", clientv3.WithLease(l.ID))
		s.NoError(err)
	}
	s.before = s.all()
	return s
}

// all is everything there is, as a member has it.
func (s *strangers) all() *clientv3.GetResponse {
	r, err := s.cluster.Truth(s.ctx, "\x00", clientv3.WithFromKey())
	s.NoError(err)
	return r
}

// unharmed says that nothing of somebody's has changed, and that all that ever changed were keys of the run.
func (s *strangers) unharmed(run string) {
	after := s.all()
	// not by their fields: etcd notes the sizes of an answer that took it long, in the answer (etcdserver/txn/util.go)
	s.True(proto.Equal(&pb.RangeResponse{Kvs: s.before.Kvs}, &pb.RangeResponse{Kvs: after.Kvs}),
		"values, revisions and leases: %v before, %v now", s.before.Kvs, after.Kvs)
	l, err := s.cluster.Client().TimeToLive(s.ctx, s.lease)
	s.NoError(err)
	s.Positive(l.TTL)
	all, err := s.cluster.Client().Leases(s.ctx)
	s.NoError(err)
	s.Len(all.Leases, 1, "no lease of the run is left")
	// from the beginning: nothing was compacted, or this watch is refused
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	own := 0
	for w := range s.cluster.Client().Watch(ctx, "\x00", clientv3.WithFromKey(), clientv3.WithRev(1)) {
		s.NoError(w.Err())
		for _, e := range w.Events {
			if e.Kv.ModRevision > s.before.Header.Revision {
				s.Contains(string(e.Kv.Key), keys.Registry+run)
				own++
			}
		}
		if w.Header.Revision >= after.Header.Revision {
			break
		}
	}
	s.Positive(own, "the run changed what is its own")
	_, err = s.cluster.Client().UserList(s.ctx)
	s.NoError(err)
}

// deregisterElsewhere has an instance leave through p1, while a gateway at p2 has its entry.
func deregisterElsewhere(
	s *strangers, a *harness.Attached,
) (ghosts []string, r history.Resolve, calls []history.Request) {
	for id, at := range map[string]string{"v1-a": "p1", "v1-b": "p2"} {
		_, err := a.Register(s.ctx, id, at)
		s.NoError(err)
	}
	for g, at := range map[string]string{"g1": "p1", "g2": "p2"} {
		_, err := a.Gateway(s.ctx, g, at)
		s.NoError(err)
	}
	s.NoError(a.Prime(s.ctx))
	s.NoError(a.Leave(s.ctx, "v1-a"))
	truth, err := a.Truth(s.ctx)
	s.NoError(err)
	r, _, err = a.Look(s.ctx, "g1")
	s.NoError(err)
	s.True(r.Agrees(truth), "%v", r)
	r, calls, err = a.Look(s.ctx, "g2")
	s.NoError(err)
	s.Less(r.Revision, truth.Revision)
	ghosts, _ = history.Compare(r.Endpoints, truth.Endpoints)
	return ghosts, r, calls
}

func TestAttachedToStrangersItSeesTheGhostAndLeavesNothing(t *testing.T) {
	t.Parallel()
	s := someone(t)
	run := ""
	t.Run("attached", func(t *testing.T) {
		a := harness.Attach(t, s.endpoints)
		run = a.Run
		ghosts, r, calls := deregisterElsewhere(s, a)
		s.Equal([]string{"v1-a"}, ghosts)
		s.Equal("p2", r.Via)
		for i := range s.proxies {
			s.Len(s.list(i).Kvs, 5, "who lists is told of v1-b")
		}
		s.Equal([]any{"v1-a", 502, "v1-b", 200}, []any{calls[0].Target, calls[0].Status, calls[1].Target, calls[1].Status})
	})
	s.unharmed(run)
	for i := range s.proxies {
		s.Len(s.list(i).Kvs, 4, "nobody's list has a ghost of the run's")
	}
}

// list is what somebody is told who lists all services at a proxy, as go-micro does.
func (s *strangers) list(proxy int) *clientv3.GetResponse {
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{s.endpoints.Proxies[proxy]}, Logger: zap.NewNop()})
	s.NoError(err)
	defer c.Close()
	r, err := c.Get(s.ctx, keys.Registry, clientv3.WithPrefix(), clientv3.WithSerializable())
	s.NoError(err)
	return r
}

// What goes wrong in between is cleaned up after all the same: an instance that never left, one that crashed, a key
// written by hand.
func TestWhatIsLeftStandingIsTakenAway(t *testing.T) {
	t.Parallel()
	s := someone(t)
	a, err := harness.Connect(s.ctx, s.endpoints)
	s.NoError(err)
	_, err = a.Register(s.ctx, "v1-a", "p3")
	s.NoError(err)
	crashed, err := a.Register(s.ctx, "v1-b", "m1")
	s.NoError(err)
	s.NoError(crashed.Crash())
	ops, err := a.Client(s.ctx, "p2")
	s.NoError(err)
	_, err = ops.Put(s.ctx, keys.Service(a.Service)+"by-hand", "")
	s.NoError(err)
	l, err := ops.Grant(s.ctx, 300)
	s.NoError(err)
	_, err = ops.Revoke(s.ctx, l.ID)
	s.NoError(err)
	s.NoError(a.Close(s.ctx))
	s.NoError(a.Close(s.ctx))
	s.unharmed(a.Run)
}

func TestWhatIsOthersIsRefused(t *testing.T) {
	t.Parallel()
	s := someone(t)
	a := harness.Attach(t, s.endpoints)
	_, err := a.Register(s.ctx, "v1-a", "")
	s.NoError(err)
	ops, err := a.Client(s.ctx, "p1")
	s.NoError(err)
	mine := keys.Service(a.Service)
	for what, do := range map[string]func() error{
		"a read":          func() error { _, err := ops.Get(s.ctx, "/a"); return err },
		"a list":          func() error { _, err := ops.Get(s.ctx, keys.Registry, clientv3.WithPrefix()); return err },
		"a read from on":  func() error { _, err := ops.Get(s.ctx, mine, clientv3.WithFromKey()); return err },
		"a put":           func() error { _, err := ops.Put(s.ctx, "/a", "x"); return err },
		"another's lease": func() error { _, err := ops.Put(s.ctx, mine+"x", "x", clientv3.WithLease(s.lease)); return err },
		"a delete":        func() error { _, err := ops.Delete(s.ctx, keys.Registry, clientv3.WithPrefix()); return err },
		"a revoke":        func() error { _, err := ops.Revoke(s.ctx, s.lease); return err },
		"a keep-alive":    func() error { _, err := ops.KeepAliveOnce(s.ctx, s.lease); return err },
		"a compaction":    func() error { _, err := ops.Compact(s.ctx, 2); return err },
		"auth":            func() error { _, err := ops.AuthEnable(s.ctx); return err },
		"a user":          func() error { _, err := ops.UserAdd(s.ctx, "eve", "eve"); return err },
		"a leader":        func() error { _, err := ops.MoveLeader(s.ctx, 1); return err },
		"a member":        func() error { _, err := ops.MemberRemove(s.ctx, 1); return err },
		"a defragmenting": func() error { _, err := ops.Defragment(s.ctx, s.endpoints.Members[0]); return err },
		"a snapshot":      func() error { _, err := ops.Snapshot(s.ctx); return err },
		"a scrub of all": func() error {
			_, err := ops.Txn(s.ctx).If(clientv3.Compare(clientv3.Version("/a"), ">", -1)).Commit()
			return err
		},
		"a txn":        func() error { _, err := ops.Txn(s.ctx).Then(clientv3.OpPut("/a", "x")).Commit(); return err },
		"a txn's else": func() error { _, err := ops.Txn(s.ctx).Else(clientv3.OpDelete("/a")).Commit(); return err },
		"a txn in another": func() error {
			_, err := ops.Txn(s.ctx).Then(clientv3.OpTxn(nil, []clientv3.Op{clientv3.OpPut("/a", "x")}, nil)).Commit()
			return err
		},
		"a watch": func() error {
			w := <-ops.Watch(s.ctx, keys.Registry, clientv3.WithPrefix())
			return w.Err()
		},
	} {
		err := do()
		s.ErrorContains(err, " was not sent: ", what)
	}
	_, err = ops.Put(s.ctx, "/a", "x")
	s.ErrorContains(err, `the key "/a" is not to be written, for it is not all under /micro/registry/`+a.Run)
	_, err = a.Gateway(s.ctx, "g1", "p4")
	s.EqualError(err, `there is no node "p4": there are m1, m2, m3, p1, p2, p3`)

	// go-micro's own list is of what is others', too
	reg, err := a.Gateway(s.ctx, "g1", "p1")
	s.NoError(err)
	_, err = reg.Registry().ListServices()
	s.ErrorContains(err, " was not sent: ")
	w, err := reg.Registry().Watch()
	if err == nil {
		_, err = w.Next()
		w.Stop()
	}
	s.Error(err)

	for what, err := range map[string]error{
		"p2 is not cut off":                   a.Cut(s.ctx, "p2"),
		"what is sent to m1 is not swallowed": a.Blackhole(s.ctx, "m1"),
		"m1 is not killed":                    a.Kill("m1"),
		"p1 is not started again":             a.RestartProxy(s.ctx, "p1"),
		"m2 is not made the leader":           a.MoveLeader(s.ctx, "m2"),
		"no weight is changed":                a.SetWeights(nil),
		"nothing is compacted":                a.Compact(s.ctx, 2),
		"authentication is not changed":       a.EnableAuth(s.ctx),
		"no proxy is scrubbed":                a.Scrub(s.ctx, nil),
	} {
		s.ErrorIs(err, harness.ErrAttached)
		s.ErrorContains(err, what+": the cluster is somebody else's")
	}
	s.NoError(a.Close(s.ctx))
	s.unharmed(a.Run)
}

func TestEndpointsThatAreNotWhatTheyAreCalledAreRefused(t *testing.T) {
	t.Parallel()
	s := someone(t)
	m, p := s.endpoints.Members, s.endpoints.Proxies
	for want, e := range map[string]harness.Endpoints{
		"Members is []: it may be one or more, at which truth is read": {Proxies: p},
		"Proxies is []: it may be all that there are":                  {Members: m},
		`Service is "a/b": it may be a name without a slash`:           {Members: m, Proxies: p, Service: "a/b"},
		"m1 at " + p[0] + " is called a member: asked, it is a proxy":  {Members: p, Proxies: p},
		"p1 at " + m[0] + " is called a proxy: asked, it is a member":  {Members: m, Proxies: m},
	} {
		_, err := harness.Connect(s.ctx, e)
		s.ErrorContains(err, want)
	}
	ctx, cancel := context.WithTimeout(s.ctx, 100*time.Millisecond)
	defer cancel()
	_, err := harness.Connect(ctx, harness.Endpoints{Members: []string{"127.0.0.1:1"}, Proxies: p})
	s.ErrorContains(err, "m1 was not reached at 127.0.0.1:1: ")
}

// A clean-up that fails says so: a proxy that is told of as a stranger's cannot be reached any more.
func TestACleanUpThatFailsIsTold(t *testing.T) {
	t.Parallel()
	s := someone(t)
	a, err := harness.Connect(s.ctx, s.endpoints)
	s.NoError(err)
	_, err = a.Register(s.ctx, "v1-a", "p1")
	s.NoError(err)
	s.proxies[2].Stop()
	ctx, cancel := context.WithTimeout(s.ctx, 3*time.Second)
	defer cancel()
	s.ErrorContains(a.Close(ctx), "p3 was not made to forget "+keys.Registry+a.Run+": ")
}
