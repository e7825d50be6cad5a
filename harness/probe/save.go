package probe

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"ghostroute/harness/history"
)

// reader is who reads at a proxy, in a history.
func reader(proxy string) string { return "probe at " + proxy }

// named are the endpoints that a service's keys name: go-micro's values where they are that, else the last part of the
// key.
func named(service, prefix string, kvs []*mvccpb.KeyValue) []history.Endpoint {
	all := []history.Endpoint{}
	for _, kv := range kvs {
		var value struct {
			Version string
			Nodes   []struct{ ID, Address string }
		}
		if json.Unmarshal(kv.Value, &value) != nil || len(value.Nodes) == 0 {
			all = append(all, history.Endpoint{ID: Key(strings.TrimPrefix(string(kv.Key), prefix)).String()})
			continue
		}
		for _, n := range value.Nodes {
			all = append(all, history.Endpoint{ID: strings.TrimPrefix(n.ID, service+"-"), Version: value.Version,
				Address: n.Address})
		}
	}
	slices.SortFunc(all, func(a, b history.Endpoint) int { return strings.Compare(a.ID, b.ID) })
	return all
}

// saveTruth writes down what a member has of each service.
func (t *truth) saveTruth(h *history.History, s *subjects) {
	kvs := map[string][]*mvccpb.KeyValue{}
	for _, kv := range t.values {
		kvs[s.service(string(kv.Key))] = append(kvs[s.service(string(kv.Key))], kv)
	}
	for _, service := range s.services {
		h.Add(history.Event{Who: t.member.addr, Truth: &history.Truth{Service: s.name(service), Revision: t.revision,
			Endpoints: named(s.name(service), service, kvs[service])}})
	}
}

// save writes an answer down: what the proxy answered, and where it is GetService's, what its clients are told of the
// service.
func (p *asking) save(began time.Duration, a ask, resp *pb.RangeResponse, e *Entry) {
	if p.history == nil {
		return
	}
	r := &history.Range{Began: began, Client: reader(p.addr), Key: a.key(), End: a.end(), Serializable: true,
		Source: history.Source(e.Source), Revision: e.Revision, Keys: []string{}, Count: resp.Count}
	for _, kv := range resp.Kvs {
		r.Keys, r.Mods = append(r.Keys, string(kv.Key)), append(r.Mods, kv.ModRevision)
	}
	seq := p.history.Add(history.Event{Who: p.addr, Range: r}).Seq
	if !slices.Contains(a.calls, FormGoMicro+" GetService") {
		return
	}
	p.history.Add(history.Event{Who: reader(p.addr), Resolve: &history.Resolve{Began: began, Service: a.service,
		Mode: "serializable", Reading: history.EachRequest, Via: p.addr, Source: r.Source, Revision: e.Revision, Range: seq,
		Endpoints: named(a.service, a.key(), resp.Kvs)}})
}

// now is the time on the history's clock, where there is one.
func (p *asking) now() time.Duration {
	if p.history == nil {
		return 0
	}
	return p.history.Now()
}
