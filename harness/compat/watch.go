package compat

import (
	"context"
	"sync"

	micro "github.com/micro/go-micro/v2/registry"
)

// Watch is a watcher of go-micro's, in the program.
type Watch struct {
	client *Client
	id     int

	mu   sync.Mutex
	met  []meeting
	more *sync.Cond
}

// meeting is what a watch met: an event, or its end.
type meeting struct {
	result *micro.Result
	err    error
}

// Watch watches a service, or with "" all of them. It returns when the watch stands, as go-micro's does.
func (c *Client) Watch(ctx context.Context, service string) (*Watch, error) {
	w := &Watch{client: c}
	w.more = sync.NewCond(&w.mu)
	id, answer, err := c.send(Command{Do: "watch", Name: service}, w)
	if err != nil {
		return nil, err
	}
	a, err := c.await(ctx, id, answer)
	if err == nil {
		err = a.Err()
	}
	if err != nil {
		c.mu.Lock()
		delete(c.watches, id)
		c.mu.Unlock()
		return nil, err
	}
	return w, nil
}

func (w *Watch) put(m meeting) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.met = append(w.met, m)
	w.more.Broadcast()
}

// Next waits for what is met next. After the watch's end it says that again.
func (w *Watch) Next() (*micro.Result, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.met) == 0 {
		w.more.Wait()
	}
	m := w.met[0]
	if m.err == nil {
		w.met = w.met[1:]
	}
	return m.result, m.err
}

// Stop ends the watch; Next then says so. What the program answers to it is that it did, or that the watch had ended.
func (w *Watch) Stop() { _, _, _ = w.client.send(Command{Do: "stop", Of: w.id}, nil) }
