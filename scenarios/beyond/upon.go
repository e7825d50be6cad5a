package beyond

import (
	"context"

	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness/history"
)

// readUponEvents has a client watch a key and read it serializably upon each event, at once.
func (b *Bench) readUponEvents(client, key string, events int) (stood <-chan struct{}, done <-chan error, err error) {
	c, err := b.client(client)
	if err != nil {
		return nil, nil, err
	}
	created, over := make(chan struct{}), make(chan error, 1)
	ctx, cancel := context.WithCancel(b.ctx)
	go func() {
		defer cancel()
		over <- func() error {
			seen := 0
			for r := range c.Watch(ctx, key, clientv3.WithCreatedNotify()) {
				if r.Created {
					close(created)
				}
				for _, ev := range r.Events {
					if err := b.readUpon(ctx, c, client, ev); err != nil {
						return err
					}
					if seen++; seen == events {
						return nil
					}
				}
			}
			return context.Cause(ctx)
		}()
	}()
	return created, over, nil
}

// readUpon reads the key of an event until the event is seen, for as long as takes far longer than an event may be out
// before its revision is readable. The last read is recorded.
func (b *Bench) readUpon(ctx context.Context, c *clientv3.Client, client string, ev *clientv3.Event) error {
	key, rev := string(ev.Kv.Key), ev.Kv.ModRevision
	for end := b.History.Now() + patience/5; ; {
		began := b.History.Now()
		r, err := c.Get(ctx, key, clientv3.WithSerializable())
		if err != nil {
			return err
		}
		if r.Header.Revision < rev && began < end {
			continue
		}
		b.History.Add(history.Event{Who: client, Range: &history.Range{Began: began, Key: key, Serializable: true,
			Revision: r.Header.Revision, Upon: rev}})
		return nil
	}
}

// readsUpon has a client read upon as many events, one after another.
func (b *Bench) readsUpon(client, key string, events int) error {
	if _, err := b.put(key); err != nil {
		return err
	}
	stood, done, err := b.readUponEvents(client, key, events)
	if err != nil {
		return err
	}
	select {
	case <-stood:
	case err := <-done:
		return err
	}
	for range events {
		n := b.History.Len()
		if _, err := b.put(key); err != nil {
			return err
		}
		if _, err := b.History.Wait(b.ctx, n, func(e history.Event) bool {
			return e.Who == client && e.Range != nil && e.Range.Upon > 0
		}); err != nil {
			return err
		}
	}
	return <-done
}
