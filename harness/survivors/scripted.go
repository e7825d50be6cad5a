package main

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// scripted is a registry that answers what it was told to.
type scripted struct {
	microRegistry // none: what a cache and a router ask for is below
	mu            sync.Mutex
	answers       map[string]answer
	begun         []*scriptedWatch
}

type answer struct {
	service *microService
	err     error
}

// scriptedWatch is a watch of a service, or of all.
type scriptedWatch struct {
	service string
	events  chan *microResult
	ended   chan struct{}
	end     sync.Once
}

func (r *scripted) set(name string, service *microService, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.answers == nil {
		r.answers = map[string]answer{}
	}
	r.answers[name] = answer{service, err}
}

func (r *scripted) GetService(name string, _ ...getOption) ([]*microService, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a, ok := r.answers[name]
	switch {
	case !ok:
		return nil, errNotFound
	case a.err != nil:
		return nil, a.err
	}
	return []*microService{a.service}, nil
}

func (r *scripted) ListServices(...listOption) (all []*microService, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range r.answers {
		if a.err == nil {
			all = append(all, a.service)
		}
	}
	return all, nil
}

func (r *scripted) Watch(opts ...watchOption) (microWatcher, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := &scriptedWatch{service: watched(opts), events: make(chan *microResult), ended: make(chan struct{})}
	r.begun = append(r.begun, w)
	return w, nil
}

func (w *scriptedWatch) Next() (*microResult, error) {
	select {
	case e := <-w.events:
		return e, nil
	case <-w.ended:
		return nil, errors.New("the watch was stopped")
	}
}

func (w *scriptedWatch) Stop() { w.end.Do(func() { close(w.ended) }) }

// watches says whether a service is watched.
func (r *scripted) watches(service string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range r.begun {
		if w.service == "" || w.service == service {
			return true
		}
	}
	return false
}

// count is how many watches have been begun.
func (r *scripted) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.begun)
}

// tell gives an event to each watch that it is about, and returns when all have taken it.
func (r *scripted) tell(e *microResult) error {
	r.mu.Lock()
	begun := r.begun
	r.mu.Unlock()
	for _, w := range begun {
		if w.service != "" && w.service != e.Service.Name {
			continue
		}
		copied := *e.Service
		copied.Nodes = append([]*microNode(nil), e.Service.Nodes...) // a cache appends to them
		select {
		case w.events <- &microResult{Action: e.Action, Service: &copied}:
		case <-time.After(patience):
			return fmt.Errorf("an event was not taken within %s", patience)
		}
	}
	return nil
}
