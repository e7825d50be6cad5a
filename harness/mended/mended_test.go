package mended

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/micro/go-micro/v2/registry"
	shipped "github.com/micro/go-micro/v2/registry/cache"
	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness/internal/stock"
)

// registered is a registry of made-up answers, and events.
type registered struct {
	registry.Registry
	answers chan answerOf // of GetService, one after another
	events  chan *registry.Result
	watched atomic.Int64
}

type answerOf struct {
	services []*registry.Service
	err      error
}

func (r *registered) GetService(string, ...registry.GetOption) ([]*registry.Service, error) {
	a := <-r.answers
	return a.services, a.err
}

func (r *registered) Watch(...registry.WatchOption) (registry.Watcher, error) {
	r.watched.Add(1)
	return r, nil
}

func (r *registered) Next() (*registry.Result, error) {
	e, open := <-r.events
	if !open || e == nil {
		return nil, errors.New("the watch broke")
	}
	return e, nil
}

func (r *registered) Stop() {}

// one is a service of one node.
func one(name string) []*registry.Service {
	return []*registry.Service{{Name: name, Version: "v1", Nodes: []*registry.Node{{Id: name + "-1"}}}}
}

func begun(t *testing.T, c func(registry.Registry) Cache) (*registered, Cache) {
	r := &registered{answers: make(chan answerOf, 3), events: make(chan *registry.Result)}
	is := c(r)
	t.Cleanup(func() { is.Stop(); close(r.events) })
	return r, is
}

func get(c Cache, service string) int {
	services, err := c.GetService(service)
	if err != nil {
		return 0
	}
	return len(services)
}

// TestAnOutageOfOneServiceKeepsNoOther is about what was said of go-micro's own cache, and is not so: it has one error
// state for all, and an event ends it before it is looked at.
func TestAnOutageOfOneServiceKeepsNoOther(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]func(registry.Registry) Cache{
		"shipped": func(r registry.Registry) Cache {
			return shipped.New(r, func(o *shipped.Options) { o.TTL = time.Nanosecond })
		},
		"mended": func(r registry.Registry) Cache { return New(r, func(o *Options) { o.TTL = time.Nanosecond }) },
	} {
		t.Run(name, func(t *testing.T) {
			r, c := begun(t, c)
			outage := answerOf{err: errors.New("etcd cannot be reached")}
			ask := func(service string, a answerOf) int {
				r.answers <- a
				return get(c, service)
			}
			require.Equal(t, 1, ask("a", answerOf{services: one("a")}))
			require.Equal(t, 1, ask("b", answerOf{services: one("b")}))
			require.Equal(t, 1, ask("b", outage), "the copy is kept")
			r.events <- &registry.Result{Action: "delete", Service: one("a")[0]}
			r.events <- &registry.Result{Action: "delete", Service: one("c")[0]} // by now the one before is done
			require.Equal(t, 0, ask("a", outage))
			require.Equal(t, 1, ask("b", outage))
		})
	}
}

// TestAnAnswerIsNoOutage has a copy lapse.
func TestAnAnswerIsNoOutage(t *testing.T) {
	t.Parallel()
	for _, answered := range []struct {
		err  error
		left int
	}{
		{errors.New("etcd cannot be reached"), 1},
		{registry.ErrNotFound, 0},
		{rpctypes.ErrPermissionDenied, 0},
		{rpctypes.ErrInvalidAuthToken, 0},
		{rpctypes.ErrAuthFailed, 0},
		{rpctypes.ErrNoLeader, 1},
		{rpctypes.ErrTimeout, 1},
	} {
		r, c := begun(t, func(r registry.Registry) Cache { return New(r, func(o *Options) { o.TTL = time.Nanosecond }) })
		r.answers <- answerOf{services: one("a")}
		require.Equal(t, 1, get(c, "a"))
		r.answers <- answerOf{err: answered.err}
		require.Equal(t, answered.left, get(c, "a"), "%v", answered.err)
	}
}

// TestAWatchThatBeginsAnewHasAllReadAgain breaks a watch.
func TestAWatchThatBeginsAnewHasAllReadAgain(t *testing.T) {
	t.Parallel()
	r, c := begun(t, func(r registry.Registry) Cache { return New(r, func(o *Options) { o.TTL = time.Hour }) })
	r.answers <- answerOf{services: one("a")}
	require.Equal(t, 1, get(c, "a"))
	for n := range int64(2) {
		require.Eventually(t, func() bool { return r.watched.Load() == n+1 }, time.Minute, time.Millisecond)
		r.answers <- answerOf{services: one("a")}
		require.Eventually(t, func() bool { return get(c, "a") == 1 && len(r.answers) == 0 }, time.Minute, time.Millisecond)
		r.events <- nil
	}
}

// TestEachEventIsTold gives a watcher a response of three events, of which one cannot be told.
func TestEachEventIsTold(t *testing.T) {
	t.Parallel()
	event := func(kind mvccpb.Event_EventType, name string, before bool) *clientv3.Event {
		b, err := json.Marshal(one(name)[0])
		require.NoError(t, err)
		ev := &clientv3.Event{Type: kind, Kv: &mvccpb.KeyValue{Value: b, CreateRevision: 1, ModRevision: 2}}
		if before {
			ev.PrevKv = ev.Kv
		}
		return ev
	}
	told := make(chan clientv3.WatchResponse, 1)
	w := &etcdWatcher{w: told}
	told <- clientv3.WatchResponse{Events: []*clientv3.Event{event(clientv3.EventTypePut, "a", false),
		event(clientv3.EventTypeDelete, "b", true), event(clientv3.EventTypeDelete, "c", false)}}
	for _, want := range []string{"update a", "delete b"} {
		r, err := w.Next()
		require.NoError(t, err)
		require.Equal(t, want, r.Action+" "+r.Service.Name)
	}
	_, err := w.Next()
	require.EqualError(t, err, "a delete whose value before is compacted")
}

// TestACopyIsUpstreams undoes the cures, and compares what is left with go-micro's own files.
func TestACopyIsUpstreams(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/micro/go-micro/v2").Output()
	require.NoError(t, err)
	read := func(path ...string) string {
		b, err := os.ReadFile(filepath.Join(path...))
		require.NoError(t, err)
		return string(b)
	}
	module := strings.TrimSpace(string(out))
	after := func(text, mark string) string {
		_, rest, found := strings.Cut(text, mark)
		require.True(t, found, mark)
		return rest
	}
	second := after(read("update.go"), "// The second half of upstream's cache.go.\n")
	half := after(read("router", "route.go"), "// The second half of upstream's router.\n")
	stock.Same(t, "registry.go", read(module, "api", "router", "registry", "registry.go"),
		read("router", "router.go")+half)
	stock.Same(t, "cache.go", read(module, "registry", "cache", "cache.go"), read("cache.go")+second)
	stock.Same(t, "watcher.go", read(module, "registry", "etcd", "watcher.go"), read("watcher.go"))
	const begins, ends = "func (e *etcdRegistry) registerNode(", "func (e *etcdRegistry) GetService("
	registers, _, found := strings.Cut(after(read(module, "registry", "etcd", "etcd.go"), begins), ends)
	require.True(t, found)
	copied := after(read("register.go"), begins)
	stock.Same(t, "etcd.go", registers, copied)
}
