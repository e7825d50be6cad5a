package proxy

import (
	"context"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/proxy/grpcproxy/cache"
)

// Watching does what issue 14665 asks for in the simplest way there is: one watch on every key, and each event clears
// what it touches. A broken watch clears everything, for what it missed is not known. It is "simply done": an answer
// that was on its way while the event passed is cached after it (as in stock, see the race in PR 21870), and nothing is
// fresher than the watch's delivery.
func Watching() Variant {
	return Variant{
		Name:      "watch",
		Source:    "etcd issue 14665, simply done",
		Claim:     "every write, lease end and delete clears every proxy's entry as soon as the watch delivers it",
		NeedsUser: "with authentication on the proxy's own watch is refused: it has no user",
		kv: func(w *Wiring) pb.KVServer {
			c := &clearable{Cache: cache.NewCache(cache.DefaultMaxEntries)}
			stands := make(chan struct{})
			w.Own(func() { follow(w.Ctx, w.Client, c, sync.OnceFunc(func() { close(stands) })) })
			select { // an entry made before the watch stands would be cleared when it does
			case <-stands:
			case <-time.After(time.Second): // etcd cannot be reached, or refuses: serve all the same, as stock does
			}
			return oneCache(w, c)
		},
	}
}

// follow clears from c what the watch delivers, until ctx ends. It calls stands once the watch is established.
func follow(ctx context.Context, client *clientv3.Client, c *clearable, stands func()) {
	for ctx.Err() == nil {
		wctx, cancel := context.WithCancel(ctx)
		for r := range client.Watch(wctx, "\x00", clientv3.WithFromKey(), clientv3.WithCreatedNotify()) {
			if r.Created || r.Err() != nil {
				c.clear() // what changed before the watch stood, or while it was broken, is not known
			}
			if r.Created && r.Err() == nil {
				stands()
			}
			for _, ev := range r.Events {
				c.Invalidate(ev.Kv.Key, nil)
			}
		}
		cancel()
		c.clear()
		select { // a cluster that refuses the watch is asked again, not hammered
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}
