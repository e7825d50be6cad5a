package lab

import (
	"context"
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"ghostroute/harness/explore/plan"
	"ghostroute/harness/history"
	"ghostroute/harness/registry"
)

// request is a call that is ready to be made.
type request struct {
	ask    func(context.Context) (plan.Observation, error)
	quorum bool // only a member with a leader can answer it
	unsure bool // or it may: what a variant makes of it is not known
}

// prepare makes the request of a step. Revisions are resolved now.
func (m *Machine) prepare(s plan.Step, w way) (request, error) {
	c, err := m.connOf(user(s.Client), w.via)
	if err != nil {
		return request{}, err
	}
	note := m.recorder(user(s.Client), w.at)
	var md metadata.MD
	trailer := grpc.Trailer(&md)
	linear := m.lab.cfg.Topology.Mode == registry.Linearizable // the topology has every client ask so whatever it asks
	switch s.Verb {
	case plan.Read:
		s.Linearizable = s.Linearizable || linear
		r, err := m.wire.Range(plan.Op{Keys: s.Keys, Shape: s.Shape})
		return request{ask: func(ctx context.Context) (plan.Observation, error) {
			resp, err := c.kv.Range(ctx, r, trailer)
			if w.proxy == nil {
				note.read(r, resp, err)
			}
			if err != nil {
				return m.failed(err)
			}
			return m.wire.Answered(resp.Header, m.wire.Answer(w.at, source(w, md), r, resp)), nil
		}, quorum: s.Linearizable}, err
	case plan.Put:
		r := m.wire.Put(plan.Op{Keys: s.Keys, Lease: s.Lease}, m.step)
		return acknowledged(m, func(ctx context.Context) (*pb.PutResponse, error) {
			resp, err := c.kv.Put(ctx, r)
			note.write(history.Write{Op: "put", Key: string(r.Key)}, resp, err)
			return resp, err
		}), nil
	case plan.Delete:
		r, err := m.wire.Delete(s.Keys)
		return acknowledged(m, func(ctx context.Context) (*pb.DeleteRangeResponse, error) {
			resp, err := c.kv.DeleteRange(ctx, r)
			w := history.Write{Op: "delete", Key: string(r.Key), End: string(r.RangeEnd), Deleted: resp.GetDeleted()}
			note.write(w, resp, err)
			return resp, err
		}), err
	case plan.Txn:
		return m.prepareTxn(s, w, c, note, linear)
	case plan.Compact:
		r := &pb.CompactionRequest{Revision: m.wire.Ago(s.Back)}
		return acknowledged(m, func(ctx context.Context) (*pb.CompactionResponse, error) { return c.kv.Compact(ctx, r) }), nil
	case plan.Grant:
		r := &pb.LeaseGrantRequest{ID: m.leaseID(s.Lease), TTL: 3600}
		return acknowledged(m, func(ctx context.Context) (*pb.LeaseGrantResponse, error) {
			return c.lease.LeaseGrant(ctx, r)
		}), nil
	case plan.Revoke:
		r := &pb.LeaseRevokeRequest{ID: m.leaseID(s.Lease)}
		return acknowledged(m, func(ctx context.Context) (*pb.LeaseRevokeResponse, error) {
			resp, err := c.lease.LeaseRevoke(ctx, r)
			note.write(history.Write{Op: "revoke", Lease: r.ID}, resp, err)
			return resp, err
		}), nil
	case plan.Keepalive:
		return request{ask: func(ctx context.Context) (plan.Observation, error) {
			return m.keepAlive(ctx, c, m.leaseID(s.Lease))
		}, quorum: true}, nil
	}
	return request{}, fmt.Errorf("%s is no call", s.Verb)
}

func (m *Machine) prepareTxn(s plan.Step, w way, c *conn, note recorder, linear bool) (request, error) {
	b := s.Txn
	if linear {
		b = b.Linearizable()
	}
	r, err := m.wire.Txn(b, m.step)
	only, local := b.ReadOnly()
	return request{ask: func(ctx context.Context) (plan.Observation, error) {
		resp, err := c.kv.Txn(ctx, r)
		if puts, deleted := changed(resp); !only && (err != nil || puts+deleted > 0) {
			key, end := b.Writes()
			note.write(history.Write{Op: "txn", Key: key, End: end, Deleted: deleted}, resp, err)
		}
		if err != nil {
			return m.failed(err)
		}
		if only {
			note.reads(r, resp)
		}
		return m.wire.Answered(resp.Header, m.wire.TxnAnswers(w.at, source(w, nil), r, resp)...), nil
	}, quorum: !local}, err
}

// changed is how many keys a transaction put and deleted.
func changed(resp *pb.TxnResponse) (puts, deleted int64) {
	for _, x := range resp.GetResponses() {
		if x.GetResponsePut() != nil {
			puts++
		}
		p, d := changed(x.GetResponseTxn())
		puts, deleted = puts+p, deleted+d+x.GetResponseDeleteRange().GetDeleted()
	}
	return puts, deleted
}

// keepAlive keeps a lease once.
func (m *Machine) keepAlive(ctx context.Context, c *conn, id int64) (plan.Observation, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.lease.LeaseKeepAlive(ctx)
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

type headed interface{ GetHeader() *pb.ResponseHeader }

// acknowledged is a call that needs a quorum and whose answer says no more than at which revision.
func acknowledged[R headed](m *Machine, call func(context.Context) (R, error)) request {
	return request{ask: func(ctx context.Context) (plan.Observation, error) {
		resp, err := call(ctx)
		if err != nil {
			return m.failed(err)
		}
		return m.wire.Answered(resp.GetHeader()), nil
	}, quorum: true}
}
