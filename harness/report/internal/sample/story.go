package sample

import (
	"encoding/json"
	"fmt"
	"time"

	"ghostroute/harness/history"
)

const prefix = "/micro/registry/hello/"

// story writes a history by hand, as a bench of three proxies and three gateways would.
type story struct {
	events  []history.Event
	now     time.Duration
	rev     int64
	reading string
	n       int // varies the times from story to story
}

func (s *story) add(took time.Duration, e history.Event) {
	s.n = (s.n*31 + 17) % 97
	s.now += took + took*time.Duration(s.n)/97
	e.Seq, e.At = len(s.events)+1, s.now
	s.events = append(s.events, e)
}

func (s *story) step(p history.Phase, text string) {
	s.add(20*time.Microsecond, history.Event{Who: "bench", Step: &history.Step{Phase: p, Text: text}})
}

// key is an instance's: go-micro names a node "service-id".
func key(id string) string { return prefix + "hello-" + id }

func endpoint(id string) history.Endpoint {
	return history.Endpoint{ID: id, Version: id[:2], Address: fmt.Sprintf("127.0.0.1:%d", 30000+100*int(id[1]-'0')+int(id[len(id)-1]-'a'))}
}

func endpoints(ids []string) []history.Endpoint {
	all := []history.Endpoint{}
	for _, id := range ids {
		all = append(all, endpoint(id))
	}
	return all
}

// write is a registration or a deregistration through a proxy.
func (s *story) write(via, op, id string) {
	began := s.now
	s.rev++
	commit := &history.Commit{Revision: s.rev, Op: op, Key: key(id)}
	if op == "put" {
		e := endpoint(id)
		v, err := json.Marshal(map[string]any{"name": "hello", "version": e.Version, "nodes": []any{map[string]any{"id": "hello-" + e.ID, "address": e.Address, "metadata": map[string]string{"protocol": "http"}}}})
		if err != nil {
			panic(err) // strings always have JSON
		}
		commit.Value = string(v)
	}
	s.add(900*time.Microsecond, history.Event{Who: "m1", Commit: commit})
	s.add(200*time.Microsecond, history.Event{Who: id, Write: &history.Write{Began: began, Via: via, Op: op, Key: key(id), Revision: s.rev, Lease: 7587862094,
		Deleted: map[string]int64{"delete": 1}[op]}})
}

func (s *story) truth(ids ...string) {
	s.add(300*time.Microsecond, history.Event{Who: "m2", Truth: &history.Truth{Service: "hello", Revision: s.rev, Endpoints: endpoints(ids)}})
}

// read is a gateway's read and, where a proxy answered, the proxy's record of it.
func (s *story) read(g, p string, source history.Source, rev int64, ids ...string) {
	began := s.now
	mode, record := "serializable", 0
	if source == history.Hit || source == history.Miss {
		r := &history.Range{Began: began + 20*time.Microsecond, Client: g, Key: prefix, End: prefix[:len(prefix)-1] + "0", Serializable: true, Source: source, Revision: rev, Keys: []string{}}
		for _, id := range ids {
			r.Keys = append(r.Keys, key(id))
		}
		took := 15 * time.Microsecond
		if source == history.Miss {
			r.Member, took = "m"+p[1:], 250*time.Microsecond
		}
		s.add(took, history.Event{Who: p, Range: r})
		record = len(s.events)
	}
	s.add(40*time.Microsecond, history.Event{Who: g, Resolve: &history.Resolve{Began: began, Service: "hello", Mode: mode, Reading: s.reading, Via: p, Source: source,
		Revision: rev, Range: record, Endpoints: endpoints(ids)}})
}

// call is a request through a gateway to an instance: 200, or 502 where it is gone.
func (s *story) call(g, id string, there bool) {
	r := &history.Request{Began: s.now, Service: "hello", Status: 200, Dialled: endpoint(id).Address, Target: id, Answered: "hello", Version: id[:2], Instance: id}
	if !there {
		r.Status, r.Answered, r.Version, r.Instance = 502, "", "", ""
		r.Log = fmt.Sprintf("http: proxy error: dial tcp %s: connect: connection refused", r.Dialled)
	}
	s.add(350*time.Microsecond, history.Event{Who: g, Request: r})
}

func (s *story) fault(op history.FaultOp, kind history.FaultKind, target, rpc string) {
	s.add(60*time.Microsecond, history.Event{Who: target, Fault: &history.Fault{Kind: kind, Op: op, Target: target, RPC: rpc, Key: prefix}})
}

// arrange registers v1-a and v1-b and lets every gateway see them.
func (s *story) arrange() {
	s.rev = 4
	s.step("", "three members, three proxies, three gateways")
	for i := 1; i <= 3; i++ {
		s.add(80*time.Microsecond, history.Event{Who: "lb", Conn: &history.Conn{Op: "open", Client: fmt.Sprint("g", i), Proxy: fmt.Sprint("p", i), N: i}})
	}
	s.write("p1", "put", "v1-a")
	s.write("p1", "put", "v1-b")
	s.step(history.PhaseArrange, "every gateway reads once")
	s.truth("v1-a", "v1-b")
	for i := 1; i <= 3; i++ {
		g, p := fmt.Sprint("g", i), fmt.Sprint("p", i)
		s.read(g, p, history.Miss, s.rev, "v1-a", "v1-b")
		s.call(g, "v1-a", true)
	}
}
