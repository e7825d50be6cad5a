package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"sync"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// put is a node's registration as go-micro writes it.
func put(name, id string) (clientv3.Op, error) {
	value, err := json.Marshal(serviceOf(name, id))
	return clientv3.OpPut(keyOf(name, id), string(value)), err
}

func keyOf(name, id string) string { return "/micro/registry/" + name + "/" + id }

// next is what a watcher tells next, "a-1 created", or its panic. A watcher that tells nothing is waited for until the
// program ends.
func next(w microWatcher) (id string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	r, err := w.Next()
	if err != nil {
		return "", err
	}
	return named([]*microService{r.Service}, nil), nil
}

// firstEvent watches a transaction that puts two.
func firstEvent(s *stand) (bool, string, error) {
	const name = "first-event"
	w, err := s.registry(s.member).Watch(watchService(name))
	if err != nil {
		return false, "", err
	}
	defer w.Stop()
	var ops []clientv3.Op
	for _, id := range []string{"a", "b", "c"} {
		op, err := put(name, id)
		if err != nil {
			return false, "", err
		}
		ops = append(ops, op)
	}
	if _, err := s.at.Txn(s.ctx).Then(ops[:2]...).Commit(); err != nil {
		return false, "", err
	}
	if _, err := s.at.Do(s.ctx, ops[2]); err != nil {
		return false, "", err
	}
	var told [2]string
	for i := range told {
		if told[i], err = next(w); err != nil {
			return false, "", err
		}
	}
	return told != [2]string{"a", "b"},
		fmt.Sprintf("a transaction put a and b, then c was put; Next told %s, %s", told[0], told[1]), nil
}

// noValueBefore has a watch be told of a delete when what was before it is compacted.
func noValueBefore(s *stand) (bool, string, error) {
	const name = "no-value-before"
	way, err := begin(s.member)
	if err != nil {
		return false, "", err
	}
	defer way.end()
	w, err := s.registry(way.Addr().String()).Watch(watchService(name))
	if err != nil {
		return false, "", err
	}
	defer w.Stop()
	op, err := put(name, "a")
	if err != nil {
		return false, "", err
	}
	if _, err := s.at.Do(s.ctx, op); err != nil {
		return false, "", err
	}
	if id, err := next(w); err != nil || id != "a" {
		return false, "", fmt.Errorf("Next was to tell a, and tells %q, %w", id, err)
	}
	way.cut()
	deleted, err := s.at.Delete(s.ctx, keyOf(name, "a"))
	if err != nil {
		return false, "", err
	}
	if _, err := s.at.Compact(s.ctx, deleted.Header.Revision); err != nil {
		return false, "", err
	}
	if op, err = put(name, "b"); err == nil {
		_, err = s.at.Do(s.ctx, op)
	}
	if err != nil {
		return false, "", err
	}
	way.mend()
	id, err := next(w)
	saw := "Next told " + id
	if err != nil {
		saw = err.Error()
	}
	return err != nil, "a was deleted and the revision before compacted while the connection was cut; " + saw, nil
}

// way is a TCP relay to a member that can be cut.
type way struct {
	net.Listener
	to string

	mu    sync.Mutex
	isCut bool
	conns []net.Conn
}

func begin(to string) (*way, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w := &way{Listener: l, to: to}
	go w.accept()
	return w, nil
}

func (w *way) accept() {
	for {
		from, err := w.Accept()
		if err != nil {
			return
		}
		to, err := net.Dial("tcp", w.to)
		if err != nil {
			_ = from.Close()
			continue
		}
		w.mu.Lock()
		if w.conns = append(w.conns, from, to); w.isCut {
			w.closeAll()
		}
		w.mu.Unlock()
		for _, pair := range [][2]net.Conn{{from, to}, {to, from}} {
			go func() {
				_, _ = io.Copy(pair[0], pair[1]) // it ends when either does
				_ = pair[0].Close()
			}()
		}
	}
}

func (w *way) closeAll() {
	for _, c := range w.conns {
		_ = c.Close()
	}
	w.conns = nil
}

func (w *way) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.isCut = true
	w.closeAll()
}

func (w *way) mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.isCut = false
}

func (w *way) end() {
	w.cut()
	_ = w.Close()
}
