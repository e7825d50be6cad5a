package model_test

import (
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"ghostroute/harness/explore/model"
	"ghostroute/harness/explore/plan"
)

func TestMain(m *testing.M) {
	// Plans are small and many: with a few MB alive, half of the time went into collecting what the last plan had left.
	debug.SetGCPercent(800)
	goleak.VerifyTestMain(m)
}

// agree takes a plan's steps on the model and on etcd's own code and says where they differ.
func agree(c *cluster, p plan.Plan) (steps int, err error) {
	real, err := c.machine(p)
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

// TestTheModelAgreesWithEtcdsOwnCode is how we know that we understand the cache: etcd's proxy, cache, store,
// transactions and leases on the one side, the model on the other, and not one step on which they differ.
func TestTheModelAgreesWithEtcdsOwnCode(t *testing.T) {
	t.Parallel()
	plans := 700 // some 114,000 steps in all; EXPLORE_PLANS makes it more
	if testing.Short() {
		plans = 50
	}
	if n, err := strconv.Atoi(os.Getenv("EXPLORE_PLANS")); err == nil {
		plans = n
	}
	for _, members := range []int{1, 3} {
		for _, auth := range []bool{false, true} {
			t.Run(fmt.Sprintf("members=%d,auth=%v", members, auth), func(t *testing.T) {
				c := newCluster(t.TempDir(), members)
				defer func() { require.NoError(t, c.Close()) }()
				cfg := plan.Config{Members: members, Auth: auth, Steps: 60, Verbs: bare()}
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

// TestTheModelAgreesOnRareThings takes steps that chance brings together too seldom.
func TestTheModelAgreesOnRareThings(t *testing.T) {
	t.Parallel()
	c := newCluster(t.TempDir(), 3)
	defer func() { require.NoError(t, c.Close()) }()
	for _, line := range []string{
		// One entry is given many times; many writes clear it, each followed by a read that must miss.
		"read g1 p1 k1" + strings.Repeat(" | read g1 p1 k1", 100),
		strings.Repeat("txn g1 p1 then put k1 ; put k2 ; put k3 ; put k4 | ", 15) + "read g1 p1 k1" +
			strings.Repeat(" | put g1 p1 k1 | read g1 p1 k1", 90),
		// What each kind of write clears, at either end of a range, and what a linearizable read leaves behind.
		"read g1 p1 k* | txn g1 p1 then put k1 | read g1 p1 k* | txn g1 p1 then delete k1 | read g1 p1 k*",
		"read g1 p1 k1..k3 | put g1 p1 k1 | read g1 p1 k1..k3 | put g1 p1 k2 | read g1 p1 k1..k3 | put g1 p1 k3 |" +
			"read g1 p1 k1..k3",
		"put g1 p1 k1 | read g1 p1 k1 linearizable | read g1 p1 k1",
		"txn g1 p1 then ( then read k1 ) ; read k2 | read g1 p1 k1 | read g1 p1 k2",
		"txn g1 p1 then ( then read k1 ; put k1 ) ; ( if k1 present then put k2 else read k2 ) ; read k* |" +
			"read g1 p1 k2 | read g1 p1 k* | read g1 p1 k1",
		"txn g1 p1 then put k1 ; read k* ; ( then put k2 ) | read g1 p1 k* | read g1 m1 k*",
		"read g1 p1 k1 | flood g1 p1 | read g1 p1 k1",
		"read g1 p1 k1 | compact p1 | flood g1 p1 | read g1 p1 k1",
		"read g1 p1 k1 | put g1 p2 k1 | compact p1 | read g1 p1 k1 linearizable | read g1 p1 k1 | read g1 p1 k2 |" +
			"read g1 p1 k2",
		"read g1 p1 k1 | read g1 p1 k2 | put g1 p2 k2 | delete g1 p1 k2.. | read g1 p1 k2",
		"read g1 p1 k2 | put g1 p2 k2 | delete g1 p1 k2.. | read g1 p1 k2",
		"put g1 p1 k1 | delete g1 p1 k1 hold=answer:h1 | reboot p1 | read g1 p1 k1 | read g1 p1 k1",
		"cut m2 | put g1 p1 k1 | read g1 p2 k1 rev=now | txn g1 p2 then read k1 |" +
			"txn g1 p2 then read k1 linearizable | mend m2 | read g1 p2 k1",
		"grant p1 l1 | put g1 p1 k1 lease=l1 | put g1 p1 k1 | revoke p1 l1 | read g1 p1 k1 | grant p1 l1 |" +
			"txn g1 p1 then put k2 lease=l1 | expire l1 | read g1 p1 k*",
		"put g1 p1 k1 | read g1 p1 k1 | blackhole p1-m1 | read g1 p1 k1 | put g1 p1 k1 | read g1 p1 k1 |" +
			"mend p1-m1 | read g1 p1 k1",
	} {
		p, err := plan.Parse(line)
		require.NoError(t, err, line)
		_, err = agree(c, p)
		require.NoError(t, err, line)
	}
}

// TestEveryVerbIsTakenInProcess, but for those that need a registry or a balancer.
func TestEveryVerbIsTakenInProcess(t *testing.T) {
	for _, v := range plan.Verbs(plan.RPC, plan.Held, plan.Fault, plan.Identity) {
		require.Contains(t, acts, v)
	}
}

// bare are the verbs that need no registry, balancer or gateway; Flood, two thousand reads, is asked for by name.
func bare() []plan.Verb {
	return slices.DeleteFunc(plan.Verbs(plan.RPC, plan.Held, plan.Fault, plan.Identity),
		func(v plan.Verb) bool { return v == plan.Flood })
}
