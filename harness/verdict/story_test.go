package verdict_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ghostroute/harness/history"
	"ghostroute/harness/verdict"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// story writes a history by hand. Every event takes a millisecond: it began when the one before ended. Instances are
// written "v1-a" or, with an address of their own, "v1-a@10.0.0.7:1"; the service is "hello".
type story struct {
	events []history.Event
	now    time.Duration
	rev    int64
}

func (s *story) add(e history.Event) *story {
	s.now += time.Millisecond
	e.Seq, e.At = len(s.events)+1, s.now
	s.events = append(s.events, e)
	return s
}

func endpoint(name string) history.Endpoint {
	id, address, own := strings.Cut(name, "@")
	if !own {
		address = "addr-" + id
	}
	version, _, _ := strings.Cut(id, "-")
	return history.Endpoint{ID: id, Version: version, Address: address}
}

func endpoints(names []string) []history.Endpoint {
	list := []history.Endpoint{}
	for _, n := range names {
		list = append(list, endpoint(n))
	}
	return list
}

const prefix = "/micro/registry/hello/"

func value(e history.Endpoint) string {
	b, err := json.Marshal(map[string]any{"name": "hello", "version": e.Version,
		"nodes": []map[string]string{{"id": "hello-" + e.ID, "address": e.Address}}})
	if err != nil {
		panic(err)
	}
	return string(b)
}

func (s *story) phase(p history.Phase) *story {
	return s.add(history.Event{Who: "bench", Step: &history.Step{Phase: p}})
}

func (s *story) act() *story     { return s.phase(history.PhaseAct) }
func (s *story) observe() *story { return s.phase(history.PhaseObserve) }
func (s *story) release() *story { return s.phase(history.PhaseRelease) }
func (s *story) end() *story     { return s.phase(history.PhaseEnd) }

// wait lets time pass.
func (s *story) wait(d time.Duration) *story { s.now += d; return s }

// put is a registration through via, acknowledged and committed; del is a deregistration.
func (s *story) put(via, name string) *story {
	s.commitPut(name)
	return s.add(history.Event{Who: endpoint(name).ID, Write: &history.Write{
		Began: s.now - time.Millisecond, Via: via, Op: "put", Key: prefix + "hello-" + endpoint(name).ID,
		Revision: s.rev}})
}

func (s *story) del(via, id string) *story {
	s.commitDel(id)
	return s.add(history.Event{Who: id, Write: &history.Write{
		Began: s.now - time.Millisecond, Via: via, Op: "delete", Key: prefix + "hello-" + id, Revision: s.rev,
		Deleted: 1}})
}

// commitPut and commitDel are commits without a write anybody saw: a lease that ended, say.
func (s *story) commitPut(name string) *story {
	s.rev++
	return s.add(history.Event{Who: "m1", Commit: &history.Commit{
		Revision: s.rev, Op: "put", Key: prefix + "hello-" + endpoint(name).ID, Value: value(endpoint(name))}})
}

func (s *story) commitDel(id string) *story {
	s.rev++
	return s.add(history.Event{Who: "m1", Commit: &history.Commit{Revision: s.rev, Op: "delete",
		Key: prefix + "hello-" + id}})
}

// elsewhere is a commit that nobody reports.
func (s *story) elsewhere() *story { s.rev++; return s }

// truth is a linearizable read on a member.
func (s *story) truth(names ...string) *story {
	return s.add(history.Event{Who: "m1", Truth: &history.Truth{Service: "hello", Revision: s.rev,
		Endpoints: endpoints(names)}})
}

// read is a registry read by a gateway.
func (s *story) read(g, p string, source history.Source, rev int64, names ...string) *story {
	return s.add(history.Event{Who: g, Resolve: &history.Resolve{
		Began: s.now, Service: "hello", Reading: "each-request", Via: p, Source: source, Revision: rev,
		Endpoints: endpoints(names)}})
}

func (s *story) hit(g, p string, rev int64, names ...string) *story {
	return s.read(g, p, history.Hit, rev, names...)
}

func (s *story) miss(g, p string, names ...string) *story {
	return s.read(g, p, history.Miss, s.rev, names...)
}

// client is an answer from go-micro's own cache.
func (s *story) client(g string, names ...string) *story {
	return s.read(g, "", history.ClientCache, 0, names...)
}

// as changes the last event's answer.
func (s *story) as(change func(*history.Resolve)) *story {
	change(s.events[len(s.events)-1].Resolve)
	return s
}

// fails is a read that was no answer.
func (s *story) fails(g, p, err string) *story {
	return s.read(g, p, "", 0).as(func(r *history.Resolve) { r.Err, r.Endpoints = err, nil })
}

// ranged is a proxy's own record of a Range over the service's prefix, or over key alone.
func (s *story) ranged(p, client string, source history.Source, serializable bool, rev int64, key string,
	names ...string) *story {
	r := &history.Range{Began: s.now, Client: client, Key: key, Serializable: serializable, Source: source,
		Revision: rev, Keys: []string{}}
	if strings.HasSuffix(key, "/") {
		r.End = key[:len(key)-1] + "0"
	}
	for _, n := range names {
		r.Keys = append(r.Keys, prefix+"hello-"+endpoint(n).ID)
	}
	return s.add(history.Event{Who: p, Range: r})
}

// recorded says that the last answer came out of what the proxy wrote down just before it.
func (s *story) recorded() *story {
	return s.as(func(r *history.Resolve) { r.Range = s.events[len(s.events)-2].Seq })
}

// kept is a lease that Register renewed on the strength of the Range just before it, in place of a put.
func (s *story) kept(via, id string) *story {
	return s.add(history.Event{Who: id, Write: &history.Write{Began: s.now, Via: via, Op: "keepalive",
		Read: s.events[len(s.events)-1].Seq}})
}

// called is a request through a gateway that was answered 200 by a service.
func (s *story) called(g, answered, instance string) *story {
	return s.add(history.Event{Who: g, Request: &history.Request{
		Began: s.now, Service: "hello", Status: 200, Dialled: "10.0.0.1:80", Answered: answered, Instance: instance}})
}

func (s *story) fault(op history.FaultOp, kind history.FaultKind, target, rpc string) *story {
	return s.add(history.Event{Who: target, Fault: &history.Fault{Kind: kind, Op: op, Target: target, RPC: rpc}})
}

// incident is a service of one instance, registered through p1 at r1 and seen by g1 through p1 and g2 through p2.
func incident() *story {
	s := &story{}
	return s.put("p1", "v1-a").miss("g1", "p1", "v1-a").miss("g2", "p2", "v1-a")
}

// deregistered is the incident up to the acknowledged change: v1-a left through p1, v2-a came through p1. Truth is r3.
func deregistered() *story {
	return incident().act().put("p1", "v2-a").del("p1", "v1-a").observe()
}

// asked is the question that most tests ask.
var asked = verdict.Question{Service: "hello", Gateways: []string{"g1", "g2"}, Reading: "each-request"}

// oddKey is a service whose one key somebody wrote directly: it does not say the service's name again.
func oddKey() *story {
	s := &story{rev: 1}
	s.add(history.Event{Who: "m1", Commit: &history.Commit{Revision: 1, Op: "put", Key: prefix + "v1-a",
		Value: value(endpoint("v1-a"))}})
	s.truth("v1-a").miss("g1", "p1", "v1-a").miss("g2", "p2", "v1-a").act()
	s.rev++
	s.add(history.Event{Who: "m1", Commit: &history.Commit{Revision: 2, Op: "delete", Key: prefix + "v1-a"}})
	return s.observe()
}

// but is asked with changes.
func but(change func(*verdict.Question)) verdict.Question {
	q := asked
	change(&q)
	return q
}
