package model_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"ghostroute/harness/explore/memory"
	"ghostroute/harness/explore/model"
	"ghostroute/harness/explore/plan"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// agree takes a plan's steps on the model and on etcd's own code and says where they differ.
func agree(c *memory.Cluster, p plan.Plan) (steps int, err error) {
	real, err := c.Machine(p)
	if err != nil {
		return 0, err
	}
	defer func() { _ = real.Close() }()
	m := model.New(p)
	for i, s := range p.Steps {
		want, err := real.Apply(s)
		if err != nil {
			return steps, fmt.Errorf("step %d, %s: etcd: %w", i+1, s, err)
		}
		got, err := m.Apply(s)
		if err != nil {
			return steps, fmt.Errorf("step %d, %s: model: %w", i+1, s, err)
		}
		if d := got.Differ(want); d != "" {
			return steps, fmt.Errorf("step %d, %s: the model says %s", i+1, s, d)
		}
		steps++
	}
	return steps, nil
}

// TestTheModelAgreesWithEtcdsOwnCode is how we know that we understand the cache: etcd's proxy, cache, store, transactions
// and leases on the one side, the model on the other, and not one step on which they differ.
func TestTheModelAgreesWithEtcdsOwnCode(t *testing.T) {
	t.Parallel()
	plans := 700 // some 114,000 steps in all
	if testing.Short() {
		plans = 50
	}
	for _, members := range []int{1, 3} {
		for _, auth := range []bool{false, true} {
			t.Run(fmt.Sprintf("members=%d,auth=%v", members, auth), func(t *testing.T) {
				c := memory.NewCluster(t.TempDir(), members)
				defer func() { require.NoError(t, c.Close()) }()
				cfg := plan.Config{Members: members, Auth: auth, Steps: 60, Verbs: plan.Calls()}
				steps := 0
				for seed := range uint64(plans) {
					p := plan.Random(cfg, seed)
					n, err := agree(c, p)
					if err != nil {
						p = plan.Shrink(p, 0, func(p plan.Plan) bool { _, err := agree(c, p); return err != nil })
						_, err = agree(c, p)
						t.Fatalf("%v\n%s", err, p)
					}
					steps += n
				}
				t.Logf("%d steps agreed", steps)
			})
		}
	}
}
