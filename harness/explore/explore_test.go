package explore_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"ghostroute/harness/explore"
	"ghostroute/harness/explore/memory"
	"ghostroute/harness/explore/model"
	"ghostroute/harness/explore/plan"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func oracle(p plan.Plan) (explore.Machine, error) { return model.New(p), nil }

func etcd(t testing.TB, members int) explore.Start {
	c := memory.NewCluster(t.TempDir(), members)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return func(p plan.Plan) (explore.Machine, error) { return c.Machine(p) }
}

// TestEveryCauseIsRealInEtcdsOwnCode runs the shortest plan of each cause that the model found on etcd's own code: there, too,
// a proxy is left with an answer that is not the truth.
func TestEveryCauseIsRealInEtcdsOwnCode(t *testing.T) {
	t.Parallel()
	start := etcd(t, 3)
	r, err := model.Enumerate(model.Alphabet(), 4)
	require.NoError(t, err)
	for _, f := range r.Findings {
		t.Run(fmt.Sprintf("%s,%s", f.Cause, f.Symptom), func(t *testing.T) {
			ghost, err := explore.Converge(f.Plan, start, oracle)
			require.NoError(t, err)
			switch f.Cause {
			case model.PastCompaction, model.Identity:
				return // what they leave is the truth, told where it may not be: the step's own answer shows it
			}
			require.NotNil(t, ghost, f.Plan)
			require.Equal(t, f.Cause != model.Frozen && !compactsThroughProxy(f.Plan), ghost.Healed, "looking heals, but not after a compaction through the proxy")
		})
	}
}

func compactsThroughProxy(p plan.Plan) bool {
	return slices.ContainsFunc(p.Steps, func(s plan.Step) bool { return s.Verb == plan.Compact && s.Via[0] == 'p' })
}

// TestAGhostIsFoundFromAnySeed searches etcd's own code from seeds nobody picked.
func TestAGhostIsFoundFromAnySeed(t *testing.T) {
	t.Parallel()
	start := etcd(t, 3)
	var took []time.Duration
	for range 11 {
		seed := uint64(time.Now().UnixNano())
		began := time.Now()
		f, err := explore.Find(context.Background(), plan.Config{Verbs: plan.Calls()}, seed, 1000, func(p plan.Plan) (error, error) {
			ghost, err := explore.Converge(p, start, oracle)
			if ghost == nil {
				return nil, err
			}
			return ghost, err
		})
		require.NoError(t, err, "seed %d", seed)
		require.NotNil(t, f, "seed %d: no ghost in 1000 plans", seed)
		require.LessOrEqual(t, len(f.Plan.Steps), 4, "seed %d:\n%s", seed, f.Plan)
		took = append(took, time.Since(began))
		t.Logf("seed %d: %v, %d plans drawn, %d run: %s", seed, took[len(took)-1].Round(time.Millisecond), f.Seeds, f.Machines, f.Plan.Line())
	}
	slices.Sort(took)
	t.Logf("median %v", took[len(took)/2])
}

// TestEveryCauseIsFoundFromASeedNobodyPicked draws plans until each cause has turned up by chance, and shrinks each to no more
// than the enumeration's shortest and two.
func TestEveryCauseIsFoundFromASeedNobodyPicked(t *testing.T) {
	t.Parallel()
	r, err := model.Enumerate(model.Alphabet(), 4)
	require.NoError(t, err)
	shortest := map[model.Cause]int{}
	for _, f := range r.Findings {
		if n, ok := shortest[f.Cause]; !ok || len(f.Plan.Steps) < n {
			shortest[f.Cause] = len(f.Plan.Steps)
		}
	}
	has := func(p plan.Plan, c model.Cause) bool {
		list, err := model.Explain(p)
		require.NoError(t, err, p)
		return slices.ContainsFunc(list, func(f model.Finding) bool { return f.Cause == c })
	}
	seed := uint64(time.Now().UnixNano())
	found := map[model.Cause]plan.Plan{}
	for i := uint64(0); len(found) < len(model.Causes()); i++ {
		require.Less(t, i, uint64(60000), "seed %d: found only %d causes", seed, len(found))
		p := plan.Random(plan.Config{Auth: i%4 == 0, Verbs: plan.Calls()}, seed+i)
		list, err := model.Explain(p)
		require.NoError(t, err, p)
		for _, f := range list {
			require.NotEqual(t, model.Unexplained, f.Cause, p)
			if _, ok := found[f.Cause]; ok {
				continue
			}
			small := plan.Shrink(p, 0, func(q plan.Plan) bool { return has(q, f.Cause) })
			found[f.Cause] = small
			t.Logf("plan %d: %s: %s", i, f.Cause, small.Line())
			require.LessOrEqual(t, len(small.Steps), shortest[f.Cause]+2, small)
		}
	}
}
