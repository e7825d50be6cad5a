package gateway

import (
	"context"
	"encoding/json"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/naming/endpoints"
)

// wrapped is a key whose value is an endpoint as etcd's resolver reads it, with go-micro's value for its address.
func wrapped(kv *mvccpb.KeyValue) *mvccpb.KeyValue {
	value, err := json.Marshal(endpoints.Endpoint{Addr: string(kv.Value)})
	if err != nil { // a string can always be marshalled
		panic(err)
	}
	return &mvccpb.KeyValue{Key: kv.Key, CreateRevision: kv.CreateRevision, ModRevision: kv.ModRevision,
		Version: kv.Version, Lease: kv.Lease, Value: value}
}

// wrappedKV wraps what is read.
type wrappedKV struct {
	clientv3.KV
	found bool // the last read found something
}

func (w *wrappedKV) Get(ctx context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	r, err := w.KV.Get(ctx, key, opts...)
	if err != nil {
		return nil, err
	}
	for i, kv := range r.Kvs {
		r.Kvs[i] = wrapped(kv)
	}
	w.found = len(r.Kvs) > 0
	return r, nil
}

// wrappedWatcher wraps what is watched, and says when a watch was created.
type wrappedWatcher struct {
	clientv3.Watcher
	stands func()
}

func (w *wrappedWatcher) Watch(ctx context.Context, key string, opts ...clientv3.OpOption) clientv3.WatchChan {
	from := w.Watcher.Watch(ctx, key, opts...)
	w.stands()
	to := make(chan clientv3.WatchResponse)
	go func() { // it ends with the watch, which ends with ctx
		defer close(to)
		for r := range from {
			for i, ev := range r.Events {
				if ev.Type == clientv3.EventTypePut {
					r.Events[i] = &clientv3.Event{Type: ev.Type, Kv: wrapped(ev.Kv), PrevKv: ev.PrevKv}
				}
			}
			select {
			case to <- r:
			case <-ctx.Done():
			}
		}
	}()
	return to
}
