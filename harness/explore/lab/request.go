package lab

import (
	"context"
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"ghostroute/harness/explore/plan"
	"ghostroute/harness/history"
	"ghostroute/harness/stage"
)

// ago is a revision that a plan counts back to, as etcd counts.
func (m *Machine) ago(back int) int64 {
	newest := m.base + 1
	for _, x := range m.cluster.Members {
		newest = max(newest, x.Applied())
	}
	return max(newest-int64(back), m.base+1)
}

// ask makes a call and says what came of it.
type ask func(ctx context.Context) (plan.Observation, error)

// prepare makes the request; what it returns makes the call. Revisions are resolved now. quorum says that only a member with a leader
// can answer.
func (m *Machine) prepare(s plan.Step, via, at string) (f ask, quorum bool, err error) {
	who := s.Client
	if who == "" {
		who = stage.Root
	}
	d, err := m.doorOf(who, via)
	if err != nil {
		return nil, false, err
	}
	began := m.history.Now()
	note := func(op string, key, end []byte, rev *int64, deleted int64, err error) {
		w := &history.Write{Began: began, Via: at, Op: op, Key: string(key), End: string(end), Deleted: deleted}
		if err != nil {
			w.Err = err.Error()
		} else {
			w.Revision = *rev
		}
		m.history.Add(history.Event{Who: who, Write: w})
	}
	var md metadata.MD
	header := grpc.Header(&md)
	switch s.Verb {
	case plan.Read:
		if m.linear() {
			s.Linearizable = true
		}
		r, err := m.wire.Range(plan.Op{Keys: s.Keys, Shape: s.Shape})
		return func(ctx context.Context) (plan.Observation, error) {
			resp, err := d.kv.Range(ctx, r, header)
			if at[0] == 'm' {
				m.saw(who, at, began, r, resp, err)
			}
			if err != nil {
				return m.failed(err)
			}
			return m.wire.Answered(resp.Header, m.wire.Answer(at, source(at, md), r, resp)), nil
		}, s.Linearizable, err
	case plan.Put:
		r := m.wire.Put(plan.Op{Keys: s.Keys, Lease: s.Lease}, m.step)
		return acknowledged(m, func(ctx context.Context) (*pb.PutResponse, error) {
			resp, err := d.kv.Put(ctx, r)
			note("put", r.Key, nil, revision(resp), 0, err)
			return resp, err
		}), true, nil
	case plan.Delete:
		r, err := m.wire.Delete(s.Keys)
		return acknowledged(m, func(ctx context.Context) (*pb.DeleteRangeResponse, error) {
			resp, err := d.kv.DeleteRange(ctx, r)
			note("delete", r.Key, r.RangeEnd, revision(resp), resp.GetDeleted(), err)
			return resp, err
		}), true, err
	case plan.Txn:
		b := s.Txn
		if m.linear() {
			b = linearizable(b)
		}
		r, err := m.wire.Txn(b, m.step)
		only, local := reads(b)
		return func(ctx context.Context) (plan.Observation, error) {
			resp, err := d.kv.Txn(ctx, r)
			if puts, deleted := done(resp); !only && (err != nil || puts+deleted > 0) {
				key, end := written(b)
				note("txn", []byte(key), []byte(end), revision(resp), deleted, err)
			}
			if err != nil {
				return m.failed(err)
			}
			if only {
				m.sawAll(who, at, began, r, resp)
			}
			return m.wire.Answered(resp.Header, m.wire.TxnAnswers(at, source(at, nil), r, resp)...), nil
		}, !local, err
	case plan.Compact:
		r := &pb.CompactionRequest{Revision: m.wire.Ago(s.Back)}
		return acknowledged(m, func(ctx context.Context) (*pb.CompactionResponse, error) { return d.kv.Compact(ctx, r) }), true, nil
	case plan.Grant:
		r := &pb.LeaseGrantRequest{ID: m.leaseID(s.Lease), TTL: 3600}
		return acknowledged(m, func(ctx context.Context) (*pb.LeaseGrantResponse, error) { return d.lease.LeaseGrant(ctx, r) }), true, nil
	case plan.Revoke:
		r := &pb.LeaseRevokeRequest{ID: m.leaseID(s.Lease)}
		return acknowledged(m, func(ctx context.Context) (*pb.LeaseRevokeResponse, error) {
			resp, err := d.lease.LeaseRevoke(ctx, r)
			note("revoke", nil, nil, revision(resp), 0, err)
			return resp, err
		}), true, nil
	case plan.Keepalive:
		return func(ctx context.Context) (plan.Observation, error) { return m.keepAlive(ctx, d, m.leaseID(s.Lease)) }, true, nil
	}
	return nil, false, fmt.Errorf("%s is no call", s.Verb)
}

// keepAlive keeps a lease once.
func (m *Machine) keepAlive(ctx context.Context, d *door, id int64) (plan.Observation, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := d.lease.LeaseKeepAlive(ctx)
	if err != nil {
		return m.failed(err)
	}
	if err := stream.Send(&pb.LeaseKeepAliveRequest{ID: id}); err != nil {
		return m.failed(err)
	}
	resp, err := stream.Recv()
	if err != nil {
		return m.failed(err)
	}
	if resp.TTL <= 0 {
		return plan.Observation{Err: plan.ErrNoLease}, nil
	}
	return m.wire.Answered(resp.Header), nil
}

// acknowledged makes a call whose answer says no more than at which revision.
func acknowledged[R headed](m *Machine, call func(context.Context) (R, error)) ask {
	return func(ctx context.Context) (plan.Observation, error) {
		resp, err := call(ctx)
		if err != nil {
			return m.failed(err)
		}
		return m.wire.Answered(resp.GetHeader()), nil
	}
}

type headed interface{ GetHeader() *pb.ResponseHeader }

func revision(r headed) *int64 {
	n := r.GetHeader().GetRevision()
	return &n
}
