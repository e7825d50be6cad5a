package tap

import (
	"context"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/metadata"

	"ghostroute/harness/history"
)

// Watched is a watch whose every word goes into the history. Quit ends it.
type Watched struct {
	Asked    int             // the Seq of the record that it was asked for
	Answered <-chan struct{} // closed when it was created or refused, read from or not, or was given up

	tap    *Tap
	is     history.Watch
	cancel context.CancelFunc
	done   chan struct{}
	read   chan struct{} // closed when it is read from
}

// Watch asks for a watch, and records what becomes of it until it ends or Quit is called. name is what the history
// calls it. With idle it is asked for and not read from until Read is called, as by a program that is busy. ctx may
// require a leader.
func (t *Tap) Watch(ctx context.Context, w clientv3.Watcher, name, key string, idle bool,
	opts ...clientv3.OpOption) *Watched {
	op := clientv3.OpGet(key, opts...)
	is := history.Watch{Watch: name, Key: key, End: string(op.RangeBytes()), From: op.Rev()}
	if md, ok := metadata.FromOutgoingContext(ctx); ok {
		is.Leader = len(md[rpctypes.MetadataRequireLeaderKey]) > 0
	}
	ctx, cancel := context.WithCancel(ctx)
	answered := make(chan struct{})
	x := &Watched{Answered: answered, tap: t, is: is, cancel: cancel, done: make(chan struct{}), read: make(chan struct{})}
	x.Asked = x.add(history.Watch{Op: history.WatchAsk})
	go func() {
		defer close(x.done)
		ch := w.Watch(ctx, key, append(opts, clientv3.WithCreatedNotify())...)
		close(answered)
		if idle {
			select {
			case <-x.read:
			case <-ctx.Done():
			}
		}
		x.record(ctx, ch)
	}()
	return x
}

func (x *Watched) record(ctx context.Context, ch clientv3.WatchChan) {
	told := false
	for r := range ch {
		at := word(r)
		told = told || at.Op == history.WatchEnd
		x.add(at)
	}
	if ctx.Err() == nil && !told {
		x.add(history.Watch{Op: history.WatchEnd})
	}
}

// word is what a response says.
func word(r clientv3.WatchResponse) history.Watch {
	at := history.Watch{Revision: r.Header.GetRevision(), Compacted: r.CompactRevision}
	switch {
	case r.Err() != nil:
		at.Op, at.Reason = history.WatchEnd, r.Err().Error()
	case r.Created:
		at.Op = history.WatchCreated
	case len(r.Events) > 0:
		at.Op = history.WatchEvents
		for _, ev := range r.Events {
			c := history.Commit{Revision: ev.Kv.ModRevision, Op: "put", Key: string(ev.Kv.Key)}
			if ev.Type == clientv3.EventTypeDelete {
				c.Op = "delete"
			}
			at.Events = append(at.Events, c)
		}
	default:
		at.Op = history.WatchProgress
	}
	return at
}

func (x *Watched) add(w history.Watch) (seq int) {
	w.Watch, w.Key, w.End, w.From, w.Leader = x.is.Watch, x.is.Key, x.is.End, x.is.From, x.is.Leader
	return x.tap.History.Add(history.Event{Who: x.tap.Client, Watch: &w}).Seq
}

// Words are what the watch has been told so far: first that it stands or that it is over.
func (x *Watched) Words() (words []history.Watch) {
	for _, e := range x.tap.History.Since(x.Asked) {
		if e.Watch != nil && e.Who == x.tap.Client && e.Watch.Watch == x.is.Watch {
			words = append(words, *e.Watch)
		}
	}
	return words
}

// Read has a watch that was idle be read from. It may be called once.
func (x *Watched) Read() { close(x.read) }

// Quit gives the watch up, and returns when nothing more of it will be recorded.
func (x *Watched) Quit() {
	select {
	case <-x.done:
	default:
		x.add(history.Watch{Op: history.WatchQuit})
	}
	x.cancel()
	<-x.done
}
