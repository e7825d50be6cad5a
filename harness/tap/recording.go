package tap

import (
	"context"
	"fmt"
	"sync/atomic"

	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness/history"
)

// Recording is w, whose watches go into the history word for word: of a program that watches by itself. A watch is
// given up when its context ends.
func (t *Tap) Recording(w clientv3.Watcher) clientv3.Watcher { return &recording{Watcher: w, tap: t} }

type recording struct {
	clientv3.Watcher
	tap *Tap
	n   atomic.Int64
}

func (r *recording) Watch(ctx context.Context, key string, opts ...clientv3.OpOption) clientv3.WatchChan {
	op := clientv3.OpGet(key, opts...)
	x := &Watched{tap: r.tap, is: history.Watch{Watch: fmt.Sprintf("%d of its own", r.n.Add(1)), Key: key,
		End: string(op.RangeBytes()), From: op.Rev()}}
	x.add(history.Watch{Op: history.WatchAsk})
	from := r.Watcher.Watch(ctx, key, opts...) // it waits until the watch is created, or ctx ends
	if ctx.Err() == nil {
		x.add(history.Watch{Op: history.WatchCreated})
	}
	to := make(chan clientv3.WatchResponse)
	go func() { // it ends with the watch, which ends with ctx
		defer close(to)
		for resp := range from {
			x.add(word(resp))
			select {
			case to <- resp:
			case <-ctx.Done():
			}
		}
		if ctx.Err() != nil {
			x.add(history.Watch{Op: history.WatchQuit})
		}
	}()
	return to
}
