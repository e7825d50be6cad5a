// Package lab is the explorer's machine on real parts: a stage of real etcd members that talk raft, real grpc-proxies
// behind real gRPC and the balancer, go-micro's registry, RPCs that are really held, and one history of it all.
//
// A Lab takes one plan after another. For each plan the cluster is wiped and everything else is new. What is random on
// real parts is taken out, so that a plan means one run: a step is over when every member that can has applied it, the
// leader is the one the plan says, a client that lost its connection has another before it asks again. Two things are
// the plan's where elsewhere they would be the clock's: a lease ends at the step that says so (see Machine.expire), and
// a call that nothing can answer is given up after a moment, not after etcd's five seconds (see Machine.moment).
package lab

import (
	"context"
	"errors"
	"time"

	"ghostroute/harness"
	"ghostroute/harness/etcd"
	"ghostroute/harness/explore/model"
	"ghostroute/harness/program"
	"ghostroute/harness/stage"
)

// Config says what plans are run on. The zero value is the stock proxy.
type Config struct {
	// Topology is what a fix makes of the incident's: Variant, Mode, Direct, Sticky, Scatter and Scrub count, and what
	// members, proxies and the balancer run; how many there are of anything is the plan's to say.
	Topology harness.Topology
	OneProxy bool          // every client has come to p1, as with weights 1, 0, 0 and every connection made anew
	Restart  bool          // the proxies are restarted before anything asks whether all is well
	Heals    time.Duration // how long convergence may take when nothing is pending
}

// Stock says whether the model can tell what the proxies will do.
func (c Config) Stock() bool {
	t := c.Topology
	return t.Variant.Name == "" && t.Mode == "" && !t.Direct && !t.Sticky && !t.Scatter && t.Scrub == 0 &&
		!c.OneProxy && !c.Restart
}

// Processes says whether proxies are processes: what is seen of them is seen from outside.
func (c Config) Processes() bool { return c.Topology.Proxy != program.Program{} }

// Lab is clusters and what it takes to run plans on them, one at a time. Close it.
type Lab struct {
	cfg    Config
	pool   *stage.Pool
	runs   int
	moment time.Duration // see Machine.moment
}

// New makes a lab. Its cluster starts with its first plan.
func New(cfg Config) (*Lab, error) {
	pool, err := stage.NewPool()
	if err != nil {
		return nil, err
	}
	pool.Programs = cfg.Topology.Etcd
	return &Lab{cfg: cfg, pool: pool, moment: shortly}, nil
}

// Processes is Config's.
func (l *Lab) Processes() bool { return l.cfg.Processes() }

// Close ends the clusters.
func (l *Lab) Close() error { return l.pool.Close() }

// compactEvery is after how many plans the cluster forgets its past, so that members do not grow.
const compactEvery = 20

// ready gives a wiped cluster of so many members, and the revision it is at.
func (l *Lab) ready(ctx context.Context, members int) (c *etcd.Cluster, revision int64, err error) {
	if c, err = l.pool.Take(ctx, members); err != nil {
		return nil, 0, err
	}
	if revision, err = l.renew(ctx, c); err != nil {
		return nil, 0, errors.Join(err, l.pool.Give(ctx, c))
	}
	return c, revision, nil
}

// renew moves a wiped cluster's revision on even where there was nothing to wipe, so that whatever an earlier plan
// compacted lies in the past.
func (l *Lab) renew(ctx context.Context, c *etcd.Cluster) (int64, error) {
	root, client, err := c.AsRoot(ctx)
	if err != nil {
		return 0, err
	}
	r, err := client.Put(root, "wiped", "")
	if err != nil {
		return 0, err
	}
	if l.runs++; l.runs%compactEvery == 0 {
		if _, err := client.Compact(root, r.Header.Revision); err != nil {
			return 0, err
		}
	}
	d, err := client.Delete(root, "wiped")
	if err != nil {
		return 0, err
	}
	return d.Header.Revision, c.WaitCaughtUp(ctx)
}

// oracle is the model beside a machine, which tells it where the balancer leads each client. It is nil unless the
// proxies are stock: of others the model knows nothing.
func (l *Lab) oracle(m *Machine) *model.Model {
	if !l.cfg.Stock() {
		return nil
	}
	o := model.New(m.plan)
	o.Backend = m.stage.PinnedTo
	return o
}
