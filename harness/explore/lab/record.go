package lab

import (
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc/metadata"

	"ghostroute/harness/explore/check"
	"ghostroute/harness/history"
	"ghostroute/harness/proxy"
)

// source is where an answer came from, by its header.
func source(w way, md metadata.MD) history.Source {
	if w.proxy == nil {
		return history.Member
	}
	if s := md.Get(proxy.TrailerSource); len(s) > 0 {
		return history.Source(s[0])
	}
	return history.Miss // a transaction's: it is never answered from the cache
}

// recorder records one call of a client, made at a proxy or a member.
type recorder struct {
	history    *history.History
	client, at string
	began      time.Duration
}

func (m *Machine) recorder(client, at string) recorder {
	return recorder{m.history, client, at, m.history.Now()}
}

// write records a write.
func (r recorder) write(w history.Write, resp headed, err error) {
	w.Began, w.Via = r.began, r.at
	if err != nil {
		w.Err = err.Error()
	} else {
		w.Revision = resp.GetHeader().GetRevision()
	}
	r.history.Add(history.Event{Who: r.client, Write: &w})
}

// read records an answer that no proxy gave or recorded.
func (r recorder) read(req *pb.RangeRequest, resp *pb.RangeResponse, err error) {
	source := history.Member
	if r.at[0] == 'p' {
		source = history.Miss
	}
	e := &history.Range{Began: r.began, Client: r.client, Key: string(req.Key), End: string(req.RangeEnd),
		Shape: proxy.Shape(req), Serializable: req.Serializable, Source: source,
		Revision: resp.GetHeader().GetRevision(), Count: resp.GetCount(), Keys: []string{}}
	for _, kv := range resp.GetKvs() {
		e.Keys, e.Mods = append(e.Keys, string(kv.Key)), append(e.Mods, kv.ModRevision)
	}
	if err != nil {
		e.Err = err.Error()
	}
	r.history.Add(history.Event{Who: r.at, Range: e})
}

// reads records what the reads in a transaction that writes nothing were answered. Where it writes, they are of before
// or after it: no revision says which.
func (r recorder) reads(req *pb.TxnRequest, resp *pb.TxnResponse) {
	ops := req.Failure
	if resp.Succeeded {
		ops = req.Success
	}
	for i, x := range resp.Responses {
		got := x.GetResponseRange()
		if got == nil {
			return
		}
		if got.Header == nil {
			got.Header = resp.Header
		}
		r.read(ops[i].GetRequestRange(), got, nil)
	}
}

// record is what the checks read: the history, and what it does not say.
func (m *Machine) record(healed time.Duration) check.Record {
	events := m.history.Events()
	r := check.FromEvents(events)
	r.Base, r.Complete, r.Healed, r.Grants = m.base+1, true, healed, m.grants
	r.Events, r.Places, r.Lost = events, m.holds.places, m.holds.lost
	for _, e := range events {
		if e.Fault != nil && e.Fault.Kind == history.Compact && e.Fault.Op == history.End {
			r.Complete = false // commits were compacted before they were seen
		}
	}
	return r
}
