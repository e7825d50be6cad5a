package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/micro/go-micro/v2/api/router"
	"github.com/micro/go-micro/v2/registry"
)

// session carries commands out.
type session struct {
	*client
	out   *answers
	route func() router.Router // made when it is first asked

	mu      sync.Mutex
	now     map[int]context.CancelCauseFunc // commands that are being carried out
	watches map[int]registry.Watcher
}

func newSession(c *client, out *answers) *session {
	return &session{client: c, out: out, route: sync.OnceValue(c.newRouter), now: map[int]context.CancelCauseFunc{},
		watches: map[int]registry.Watcher{}}
}

// begin has a command carried out. The error is that it cannot be begun.
func (s *session) begin(c command) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now[c.ID] != nil || s.watches[c.ID] != nil {
		return fmt.Errorf("its id is %d, which another has that has not ended", c.ID)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	s.now[c.ID] = cancel
	go func() {
		a := answer{ID: c.ID}
		var err error
		a.Calls = s.calls.of(ctx, func() { a.Services, err = s.do(ctx, c) })
		if err != nil {
			a.Error, a.NotFound = err.Error(), errors.Is(err, registry.ErrNotFound)
		}
		s.mu.Lock()
		delete(s.now, c.ID)
		s.mu.Unlock()
		cancel(nil)
		s.out.say(a)
		if c.Do == "watch" && err == nil {
			s.follow(c.ID)
		}
	}()
	return nil
}

func (s *session) do(ctx context.Context, c command) ([]*registry.Service, error) {
	switch c.Do {
	case "register":
		return nil, s.Register(c.Service, registry.RegisterTTL(time.Duration(c.TTL)*time.Second))
	case "deregister":
		return nil, s.Deregister(c.Service)
	case "get":
		return s.GetService(c.Name)
	case "list":
		return s.ListServices()
	case "route":
		r, err := http.NewRequest(http.MethodGet, "http://gateway/"+c.Name, nil)
		if err != nil {
			return nil, err
		}
		answer, err := s.route().Route(r)
		if err != nil {
			return nil, err
		}
		return answer.Services, nil
	case "watch":
		return nil, s.watch(c)
	case "stop":
		return nil, s.stop(c.Of)
	case "cancel":
		return nil, s.cancel(c.Of)
	case "connect":
		return nil, s.connect(ctx)
	}
	panic("parse let a command through that there is not: " + c.Do)
}

// watch begins one. go-micro's Watch returns when etcd has said that it stands.
func (s *session) watch(c command) error {
	var of []registry.WatchOption
	if c.Name != "" {
		of = append(of, registry.WatchService(c.Name))
	}
	w, err := s.Watch(of...)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watches[c.ID] = w
	return nil
}

// follow tells what a watch meets until it ends.
func (s *session) follow(id int) {
	s.mu.Lock()
	w := s.watches[id]
	s.mu.Unlock()
	for w != nil {
		r, err := next(w)
		if err != nil {
			s.mu.Lock()
			delete(s.watches, id)
			s.mu.Unlock()
			s.out.say(event{Watch: id, Error: err.Error()})
			return
		}
		s.out.say(event{Watch: id, Action: r.Action, Service: r.Service})
	}
}

// next is go-micro's Next, whose panic over a deletion with no value before it is an error: it would end the program.
func next(w registry.Watcher) (r *registry.Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("go-micro's watcher panicked: %v", p)
		}
	}()
	return w.Next()
}

func (s *session) stop(id int) error {
	s.mu.Lock()
	w := s.watches[id]
	s.mu.Unlock()
	if w == nil {
		return fmt.Errorf("there is no watch %d to stop", id)
	}
	w.Stop()
	return nil
}

// cancel ends what a command has asked of etcd.
func (s *session) cancel(id int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	end := s.now[id]
	if end == nil {
		return fmt.Errorf("there is no command %d to cancel: it has ended or never began", id)
	}
	end(errors.New("it was canceled"))
	return nil
}
