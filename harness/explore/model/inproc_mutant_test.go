package model_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"ghostroute/harness/explore"
	"ghostroute/harness/explore/model"
	"ghostroute/harness/explore/plan"
)

// passing is a proxy with a mistake: one kind of RPC passes its cache by, and neither clears nor files anything. The
// steps at which it did are noted: those of a Put and a DeleteRange when they begin, for that is when the cache
// forgets, those of a Range and a Txn when their answer has come.
type passing struct {
	pb.KVServer
	m  *machine
	up *upstream
}

func (p *passing) note() { p.m.passed = append(p.m.passed, p.m.step) }

func (p *passing) Range(ctx context.Context, r *pb.RangeRequest) (*pb.RangeResponse, error) {
	if p.m.c.passes == "Range" && !r.Serializable {
		defer p.note()
		return p.up.Range(ctx, r)
	}
	return p.KVServer.Range(ctx, r)
}

func (p *passing) Put(ctx context.Context, r *pb.PutRequest) (*pb.PutResponse, error) {
	if p.m.c.passes == "Put" {
		p.note()
		return p.up.Put(ctx, r)
	}
	return p.KVServer.Put(ctx, r)
}

func (p *passing) DeleteRange(ctx context.Context, r *pb.DeleteRangeRequest) (*pb.DeleteRangeResponse, error) {
	if p.m.c.passes == "DeleteRange" {
		p.note()
		return p.up.DeleteRange(ctx, r)
	}
	return p.KVServer.DeleteRange(ctx, r)
}

func (p *passing) Txn(ctx context.Context, r *pb.TxnRequest) (*pb.TxnResponse, error) {
	if p.m.c.passes == "Txn" {
		defer p.note()
		return p.up.Txn(ctx, r)
	}
	return p.KVServer.Txn(ctx, r)
}

// TestADisagreementNamesTheStepThatItComesOf gives the proxies a mistake and has the model disagree with them: what it
// names must be a step at which the mistake was made, where the read that is told so comes later.
func TestADisagreementNamesTheStepThatItComesOf(t *testing.T) {
	const wanted = 5 // disagreements of each mistake
	c := newCluster(t.TempDir(), 3)
	defer func() { require.NoError(t, c.Close()) }()
	for _, c.passes = range []string{"Range", "Put", "DeleteRange", "Txn"} {
		first, named, all := 0, 0, 0
		for seed := uint64(1); all < wanted; seed++ {
			require.Less(t, seed, uint64(5000), "%s: %d disagreements", c.passes, all)
			p := plan.Random(plan.Config{Steps: 60, Verbs: bare()}, seed)
			m, err := c.machine(p)
			require.NoError(t, err)
			taking := explore.Taking{Machine: m, Oracle: model.New(p), Look: true}
			_, err = taking.Take(p.Steps)
			passed := m.passed
			require.NoError(t, m.Close())
			var d *explore.Disagreement
			if !errors.As(err, &d) {
				require.NoError(t, err)
				continue
			}
			all++
			if slices.Contains(passed, d.Number) {
				first++
			}
			require.NotNil(t, d.Since, "%v\n%s", err, p)
			if slices.Contains(passed, d.Since.Number) {
				named++
			} else {
				t.Logf("seed %d, passed at %v: %v", seed, passed, err)
			}
		}
		t.Logf("%s: of %d disagreements %d were first told at the step of the mistake, %d name it",
			c.passes, all, first, named)
		require.Equal(t, all, named, c.passes)
	}
}
