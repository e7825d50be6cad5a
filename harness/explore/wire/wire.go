// Package wire puts a plan's steps into etcd's API and its answers back into a plan's words.
package wire

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/pkg/v3/adt"

	"ghostroute/harness/explore/plan"
	"ghostroute/harness/history"
	"ghostroute/harness/keys"
)

// Wire is what a machine's requests and answers are counted from.
type Wire struct {
	Base    int64                             // what is revision 0 to the plan
	Ago     func(back int) int64              // the revision, etcd's, so many before now
	LeaseID func(lease string) int64          // of "l1"
	Value   func(key string, step int) string // what a put writes; nil is the step's number
}

// Range is the request of a read.
func (w *Wire) Range(o plan.Op) (*pb.RangeRequest, error) {
	key, end, err := plan.Bounds(o.Keys)
	r := &pb.RangeRequest{Key: []byte(key), RangeEnd: rangeEnd(end), Limit: int64(o.Limit), Serializable: !o.Linearizable,
		KeysOnly: o.KeysOnly, CountOnly: o.Count}
	if target, order, ok := strings.Cut(o.Sort, ":"); ok {
		r.SortTarget = pb.RangeRequest_SortTarget(pb.RangeRequest_SortTarget_value[strings.ToUpper(target)])
		r.SortOrder = map[string]pb.RangeRequest_SortOrder{"up": pb.RangeRequest_ASCEND,
			"down": pb.RangeRequest_DESCEND}[order]
	}
	if o.Past {
		r.Revision = w.Ago(o.Ago)
	}
	return r, err
}

// Again is the request whose answer that was, asked serializably.
func (w *Wire) Again(a plan.Answer) (*pb.RangeRequest, error) {
	shape, revision, _ := strings.Cut(a.Shape, "@")
	p, err := plan.Parse(fmt.Sprintf("plan members=1 proxies=1 clients=1 | read g1 p1 %s %s", a.Keys, shape))
	if err != nil {
		return nil, err
	}
	r, err := w.Range(plan.Op{Keys: p.Steps[0].Keys, Shape: p.Steps[0].Shape})
	if revision != "" {
		at, failed := strconv.ParseInt(revision, 10, 64)
		r.Revision, err = at+w.Base, errors.Join(err, failed)
	}
	return r, err
}

// rangeEnd is a range end as it comes off the wire: none is nil, for to mvcc an empty one means "from the key on".
func rangeEnd(end string) []byte {
	if end == "" {
		return nil
	}
	return []byte(end)
}

// Put is the request of a put, taken as that step of the plan.
func (w *Wire) Put(o plan.Op, step int) *pb.PutRequest {
	key, _, _ := plan.Bounds(o.Keys)
	r := &pb.PutRequest{Key: []byte(key), Value: []byte(w.value(key, step))}
	if o.Lease != "" {
		r.Lease = w.LeaseID(o.Lease)
	}
	return r
}

// Delete is the request of a delete.
func (w *Wire) Delete(keys string) (*pb.DeleteRangeRequest, error) {
	key, end, err := plan.Bounds(keys)
	return &pb.DeleteRangeRequest{Key: []byte(key), RangeEnd: rangeEnd(end)}, err
}

// Txn is the request of a transaction, taken as that step of the plan.
func (w *Wire) Txn(b *plan.Branches, step int) (*pb.TxnRequest, error) {
	r := &pb.TxnRequest{}
	for _, c := range b.If {
		key, end, err := plan.Bounds(c.Keys)
		if err != nil {
			return nil, err
		}
		result := pb.Compare_GREATER
		if c.Absent {
			result = pb.Compare_EQUAL
		}
		r.Compare = append(r.Compare, &pb.Compare{Key: []byte(key), RangeEnd: rangeEnd(end), Result: result,
			Target: pb.Compare_VERSION, TargetUnion: &pb.Compare_Version{Version: 0}})
	}
	ops := func(list []plan.Op) ([]*pb.RequestOp, error) {
		var reqs []*pb.RequestOp
		for _, o := range list {
			req := &pb.RequestOp{}
			switch o.Verb {
			case plan.Read:
				x, err := w.Range(o)
				if err != nil {
					return nil, err
				}
				req.Request = &pb.RequestOp_RequestRange{RequestRange: x}
			case plan.Put:
				req.Request = &pb.RequestOp_RequestPut{RequestPut: w.Put(o, step)}
			case plan.Delete:
				x, err := w.Delete(o.Keys)
				if err != nil {
					return nil, err
				}
				req.Request = &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: x}
			default:
				x, err := w.Txn(o.Txn, step)
				if err != nil {
					return nil, err
				}
				req.Request = &pb.RequestOp_RequestTxn{RequestTxn: x}
			}
			reqs = append(reqs, req)
		}
		return reqs, nil
	}
	var err error
	if r.Success, err = ops(b.Then); err != nil {
		return nil, err
	}
	r.Failure, err = ops(b.Else)
	return r, err
}

// Answered is what a call gave.
func (w *Wire) Answered(h *pb.ResponseHeader, answers ...plan.Answer) plan.Observation {
	return plan.Observation{Revision: h.Revision - w.Base, Answers: answers}
}

// Answer is the answer to a read, from that endpoint and source.
func (w *Wire) Answer(via string, source history.Source, r *pb.RangeRequest, resp *pb.RangeResponse) plan.Answer {
	shape := plan.Shape{Count: r.CountOnly, KeysOnly: r.KeysOnly, Limit: int(r.Limit)}
	if r.SortOrder != pb.RangeRequest_NONE {
		order := map[pb.RangeRequest_SortOrder]string{pb.RangeRequest_ASCEND: "up",
			pb.RangeRequest_DESCEND: "down"}[r.SortOrder]
		shape.Sort = strings.ToLower(r.SortTarget.String()) + ":" + order
	}
	text := shape.String()
	if r.Revision != 0 {
		text = strings.TrimSpace(fmt.Sprintf("%s @%d", text, r.Revision-w.Base))
	}
	a := plan.Answer{Via: via, Keys: plan.BoundsText(string(r.Key), string(r.RangeEnd)), Shape: text, Source: source,
		Revision: resp.Header.Revision - w.Base, Count: resp.Count, More: resp.More}
	for _, kv := range resp.Kvs {
		a.KVs = append(a.KVs, w.kv(kv))
	}
	return a
}

func (w *Wire) kv(kv *mvccpb.KeyValue) plan.KV {
	value := string(kv.Value)
	if strings.HasPrefix(string(kv.Key), keys.Registry) {
		value = ""
	}
	return plan.KV{Key: string(kv.Key), Mod: kv.ModRevision - w.Base, Create: kv.CreateRevision - w.Base,
		Version: kv.Version, Value: value, HasLease: kv.Lease != 0}
}

// TxnAnswers are the answers to the reads in a transaction, those in transactions inside it too.
func (w *Wire) TxnAnswers(via string, source history.Source, r *pb.TxnRequest, resp *pb.TxnResponse) []plan.Answer {
	reqs := r.Failure
	if resp.Succeeded {
		reqs = r.Success
	}
	var answers []plan.Answer
	for i, x := range resp.Responses {
		switch {
		case reqs[i].GetRequestRange() != nil:
			answers = append(answers, w.Answer(via, source, reqs[i].GetRequestRange(), x.GetResponseRange()))
		case reqs[i].GetRequestTxn() != nil:
			answers = append(answers, w.TxnAnswers(via, source, reqs[i].GetRequestTxn(), x.GetResponseTxn())...)
		}
	}
	return answers
}

func (w *Wire) value(key string, step int) string {
	if w.Value != nil {
		return w.Value(key, step)
	}
	return fmt.Sprint(step)
}

// Errors are etcd's errors that a plan has a word for.
func Errors() map[error]string {
	return map[error]string{
		rpctypes.ErrGRPCCompacted: plan.ErrCompacted, rpctypes.ErrGRPCFutureRev: plan.ErrFuture,
		rpctypes.ErrGRPCPermissionDenied: plan.ErrDenied, rpctypes.ErrGRPCLeaseNotFound: plan.ErrNoLease,
		rpctypes.ErrGRPCLeaseExist: plan.ErrLeaseExists, rpctypes.ErrGRPCDuplicateKey: plan.ErrDuplicate,
		rpctypes.ErrGRPCTimeout: plan.ErrUnavailable, rpctypes.ErrGRPCNoLeader: plan.ErrUnavailable,
	}
}

// WritesTwice says whether a transaction writes a key twice, which the API server refuses.
func WritesTwice(b *plan.Branches) bool {
	w := Wire{Ago: func(int) int64 { return 1 }, LeaseID: func(string) int64 { return 1 }}
	r, err := w.Txn(b, 0)
	return err == nil && Duplicate(r)
}

// Duplicate is the API server's test whether a transaction writes a key twice (etcdserver/api/v3rpc/key.go,
// checkIntervals), which it does not export. A delete from a key on is taken for an interval that ends before it
// begins, and so collides with nothing.
func Duplicate(r *pb.TxnRequest) bool {
	for _, ops := range [][]*pb.RequestOp{r.Success, r.Failure} {
		if _, _, twice := checkIntervals(ops); twice {
			return true
		}
	}
	return false
}

func checkIntervals(ops []*pb.RequestOp) (puts map[string]bool, dels adt.IntervalTree, twice bool) {
	puts, dels = map[string]bool{}, adt.NewIntervalTree()
	for _, o := range ops {
		if d := o.GetRequestDeleteRange(); d != nil {
			iv := adt.NewStringAffinePoint(string(d.Key))
			if len(d.RangeEnd) != 0 {
				iv = adt.NewStringAffineInterval(string(d.Key), string(d.RangeEnd))
			}
			dels.Insert(iv, nil)
		}
	}
	put := func(k string, again bool) bool {
		if puts[k] && !again || dels.Intersects(adt.NewStringAffinePoint(k)) {
			return false
		}
		puts[k] = true
		return true
	}
	for _, o := range ops {
		t := o.GetRequestTxn()
		if t == nil {
			continue
		}
		then, thenDels, bad := checkIntervals(t.Success)
		els, elseDels, worse := checkIntervals(t.Failure)
		if bad || worse {
			return puts, dels, true
		}
		for k := range then {
			if !put(k, false) {
				return puts, dels, true
			}
		}
		for k := range els {
			if !put(k, then[k]) {
				return puts, dels, true
			}
		}
		dels.Union(thenDels, adt.NewStringAffineInterval("\x00", ""))
		dels.Union(elseDels, adt.NewStringAffineInterval("\x00", ""))
	}
	for _, o := range ops {
		if p := o.GetRequestPut(); p != nil && !put(string(p.Key), false) {
			return puts, dels, true
		}
	}
	return puts, dels, false
}
