// cure any: this is a package of its own
package mended

// was: package etcd
// cured

import (
	"context"
	"errors"
	"time"

	// cure any: today's client, which the old path is an alias of
	"github.com/micro/go-micro/v2/registry"
	clientv3 "go.etcd.io/etcd/client/v3"
	// was: "github.com/coreos/etcd/clientv3"
	// was: "github.com/micro/go-micro/v2/registry"
	// cured
)

type etcdWatcher struct {
	stop    chan bool
	w       clientv3.WatchChan
	client  *clientv3.Client
	timeout time.Duration
	// cure Each: what a response told besides
	pending []*clientv3.Event
	// cured
}

// cure any: the registry's client is given

// NewWatcher watches the registry with a client.
func NewWatcher(r *Client, timeout time.Duration, opts ...registry.WatchOption) (registry.Watcher, error) {
	// was: func newEtcdWatcher(r *etcdRegistry, timeout time.Duration, opts ...registry.WatchOption) (
	// was: registry.Watcher, error) {
	// cured
	var wo registry.WatchOptions
	for _, o := range opts {
		o(&wo)
	}

	ctx, cancel := context.WithCancel(context.Background())
	// cure Leader: a watch at a member that was cut off is told nothing, for ever
	ctx = clientv3.WithRequireLeader(ctx)
	// cured
	stop := make(chan bool, 1)

	go func() {
		<-stop
		cancel()
	}()

	watchPath := prefix
	if len(wo.Service) > 0 {
		watchPath = servicePath(wo.Service) + "/"
	}

	return &etcdWatcher{
		stop:    stop,
		w:       r.client.Watch(ctx, watchPath, clientv3.WithPrefix(), clientv3.WithPrevKV()),
		client:  r.client,
		timeout: timeout,
	}, nil
}

func (ew *etcdWatcher) Next() (*registry.Result, error) {
	// cure Each: a response has every event of its revision, and often of more
	for len(ew.pending) > 0 {
		ev := ew.pending[0]
		ew.pending = ew.pending[1:]
		result, err := ew.result(ev)
		if result != nil || err != nil {
			return result, err
		}
	}
	// cured
	for wresp := range ew.w {
		if wresp.Err() != nil {
			return nil, wresp.Err()
		}
		if wresp.Canceled {
			return nil, errors.New("could not get next")
		}
		// cure Each: all of them are kept, and told one by one
		ew.pending = wresp.Events
		if len(ew.pending) > 0 {
			return ew.Next()
		}
		// was: for _, ev := range wresp.Events {
		// was: service := decode(ev.Kv.Value)
		// was: var action string
		// was: switch ev.Type {
		// was: case clientv3.EventTypePut:
		// was: if ev.IsCreate() {
		// was: action = "create"
		// was: } else if ev.IsModify() {
		// was: action = "update"
		// was: }
		// was: case clientv3.EventTypeDelete:
		// was: action = "delete"
		// was: // get service from prevKv
		// was: service = decode(ev.PrevKv.Value)
		// was: }
		// was: if service == nil {
		// was: continue
		// was: }
		// was: return &registry.Result{
		// was: Action:  action,
		// was: Service: service,
		// was: }, nil
		// was: }
		// cured
	}
	return nil, errors.New("could not get next")
}

func (ew *etcdWatcher) Stop() {
	select {
	case <-ew.stop:
		return
	default:
		close(ew.stop)
	}
}
