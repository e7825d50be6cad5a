// Package bench is the explorer's machine on real parts: real etcd members that talk raft, real grpc-proxies behind real gRPC, the
// balancer, go-micro's registry, RPCs that are really held, and one history of it all.
//
// A Lab owns a cluster and takes one plan after another on it. For each plan the cluster is wiped and everything else is new. What is
// random on a real bench is taken out of it, so that a plan means one run: a step is over when every member that can has applied it,
// who leads is whom the plan says, a client that lost its connection has another before it asks again. Two things are the plan's where
// elsewhere they would be the clock's: a lease ends at the step that says so (see Machine.expire), and a call that nobody can answer
// is given up after a moment, not after etcd's five seconds (see unanswered).
package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"ghostroute/harness"
	"ghostroute/harness/etcd"
	"ghostroute/harness/explore"
	"ghostroute/harness/explore/model"
	"ghostroute/harness/explore/plan"
	"ghostroute/harness/history"
)

// Config says what plans are run on. The zero value is the stock proxy.
type Config struct {
	Dir string // where members keep their data; the caller removes it. "" is the system's folder for temporary files
	// Topology is what a fix makes of the incident's: Variant, Mode, Direct, Sticky, Scatter and Scrub count; how many there are of
	// anything is the plan's to say.
	Topology harness.Topology
	OneProxy bool          // everybody has come to p1, as with weights 1, 0, 0 and everybody reconnected
	Restart  bool          // the proxies are restarted before anybody asks whether all is well
	Heals    time.Duration // how long convergence may take when nothing is pending
}

// Stock says whether the model can tell what the proxies will do.
func (c Config) Stock() bool {
	t := c.Topology
	return t.Variant.Name == "" && t.Mode == "" && !t.Direct && !t.Sticky && !t.Scatter && t.Scrub == 0 && !c.OneProxy && !c.Restart
}

// Lab is a cluster and what it takes to run plans on it, one at a time. Close it.
type Lab struct {
	cfg     Config
	dir     string
	cluster *etcd.Cluster
	members int
	runs    int
	moment  time.Duration // see Machine.moment
	Clock   Clock
}

// Clock is where the time went.
type Clock struct {
	Wipe, Build, Steps, Close time.Duration
	Verbs                     map[plan.Verb]Spent
}

// Spent is how often a step was taken and how long that took in all.
type Spent struct {
	N    int
	Took time.Duration
}

// New makes a lab. Its cluster starts with its first plan.
func New(cfg Config) (*Lab, error) {
	dir, err := os.MkdirTemp(cfg.Dir, fmt.Sprintf("ghostroute-%d-", os.Getpid()))
	if err != nil {
		return nil, fmt.Errorf("there is no folder for the members' data: %w", err)
	}
	return &Lab{cfg: cfg, dir: dir, moment: shortly, Clock: Clock{Verbs: map[plan.Verb]Spent{}}}, nil
}

// Close ends the cluster.
func (l *Lab) Close() error { return errors.Join(l.end(), os.RemoveAll(l.dir)) }

func (l *Lab) end() error {
	if l.cluster == nil {
		return nil
	}
	c := l.cluster
	l.cluster = nil
	return c.Close()
}

// compactEvery is after how many plans the cluster forgets its past, so that members do not grow.
const compactEvery = 20

// ready gives a wiped cluster of so many members, and the revision it is at. A cluster that cannot be wiped is replaced.
func (l *Lab) ready(ctx context.Context, members int) (revision int64, err error) {
	if l.cluster != nil && l.members != members {
		if err := l.end(); err != nil {
			return 0, err
		}
	}
	if l.cluster != nil {
		if revision, err = l.wiped(ctx); err == nil {
			return revision, nil
		}
		if err := errors.Join(ctx.Err(), l.end()); err != nil {
			return 0, err
		}
	}
	dir, err := os.MkdirTemp(l.dir, "cluster-")
	if err != nil {
		return 0, err
	}
	if l.cluster, err = etcd.Start(ctx, etcd.Config{Members: members, Dir: dir, History: history.New()}); err != nil {
		return 0, err
	}
	l.members = members
	return l.wiped(ctx)
}

func (l *Lab) wiped(ctx context.Context) (int64, error) {
	if err := l.cluster.Wipe(ctx); err != nil {
		return 0, err
	}
	root, c, err := l.cluster.Root(ctx)
	if err != nil {
		return 0, err
	}
	if l.runs++; l.runs%compactEvery == 0 {
		r, err := c.Get(root, "wiped")
		if err != nil {
			return 0, err
		}
		if _, err := c.Compact(root, r.Header.Revision); err != nil {
			return 0, err
		}
	}
	// The revision moves on even where there was nothing to wipe, so that whatever an earlier plan compacted lies in the past.
	if _, err := c.Put(root, "wiped", ""); err != nil {
		return 0, err
	}
	r, err := c.Delete(root, "wiped")
	if err != nil {
		return 0, err
	}
	return r.Header.Revision, l.cluster.Settle(ctx)
}

// oracle is the model beside a machine, which tells it where the balancer leads each client. It is nil unless the proxies are stock: of
// others the model knows nothing.
func (l *Lab) oracle(m *Machine) explore.Machine {
	if !l.cfg.Stock() {
		return nil
	}
	o := model.New(m.plan)
	o.Backend = m.door
	return o
}
