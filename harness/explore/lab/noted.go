package lab

import (
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc/metadata"

	"ghostroute/harness/history"
	"ghostroute/harness/proxy"
)

// source is whence an answer came, by its header.
func source(at string, md metadata.MD) history.Source {
	if at[0] == 'm' {
		return history.Member
	}
	if s := md.Get(proxy.HeaderSource); len(s) > 0 {
		return history.Source(s[0])
	}
	return history.Miss // a transaction's: it is never answered from the cache
}

// saw notes an answer that no proxy gave or noted.
func (m *Machine) saw(who, at string, began time.Duration, r *pb.RangeRequest, resp *pb.RangeResponse, err error) {
	e := &history.Range{Began: began, Client: who, Key: string(r.Key), End: string(r.RangeEnd), Shape: proxy.Shape(r),
		Serializable: r.Serializable, Source: source(at, nil), Revision: resp.GetHeader().GetRevision(), Count: resp.GetCount(), Keys: []string{}}
	for _, kv := range resp.GetKvs() {
		e.Keys, e.Mods = append(e.Keys, string(kv.Key)), append(e.Mods, kv.ModRevision)
	}
	if err != nil {
		e.Err = err.Error()
	}
	m.history.Add(history.Event{Who: at, Range: e})
}

// sawAll notes what the reads in a transaction that writes nothing were answered. Where it writes, they are of before or after it: no
// revision says which.
func (m *Machine) sawAll(who, at string, began time.Duration, r *pb.TxnRequest, resp *pb.TxnResponse) {
	reqs := r.Failure
	if resp.Succeeded {
		reqs = r.Success
	}
	for i, x := range resp.Responses {
		rr := x.GetResponseRange()
		if rr == nil {
			return
		}
		if rr.Header == nil {
			rr.Header = resp.Header
		}
		m.saw(who, at, began, reqs[i].GetRequestRange(), rr, nil)
	}
}
