package stage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"ghostroute/harness/etcd"
	"ghostroute/harness/history"
	"ghostroute/harness/program"
	"ghostroute/harness/scratch"
)

// Pool lends clusters, one owner at a time each, and wipes them in between. A cluster that could not be wiped is ended,
// Ended says why, and another is started in its place. It is safe for use by many goroutines.
type Pool struct {
	Programs program.Members // what the members of its clusters run

	dir    string
	remove func() error

	mu    sync.Mutex
	free  []unused                 // the one that came back last is last
	all   map[*etcd.Cluster]string // the folder of each
	ended []string
}

// unused is a cluster that nobody has, and since when.
type unused struct {
	*etcd.Cluster
	since time.Time
}

// idle is how long a cluster may be free before it ends. Starting one takes 150 ms; three members that nobody asks
// take 3 % of a core to tell each other that they are there.
const idle = 2 * time.Second

// wiping is how long a cluster may take to be wiped. It takes milliseconds, and seconds where a member has to be
// started again; what takes longer on a machine that is beyond its strength is worth no more waiting.
const wiping = 30 * time.Second

// NewPool returns a pool that has no cluster yet. Close it.
func NewPool() (*Pool, error) {
	dir, remove, err := scratch.Folder()
	if err != nil {
		return nil, err
	}
	return &Pool{dir: dir, remove: remove, all: map[*etcd.Cluster]string{}}, nil
}

// Take lends a cluster of so many members, starting one if none is free.
func (p *Pool) Take(ctx context.Context, members int) (*etcd.Cluster, error) {
	if c := p.taken(members); c != nil {
		return c, nil
	}
	dir, err := os.MkdirTemp(p.dir, "cluster-")
	if err != nil {
		return nil, err
	}
	c, err := etcd.Start(ctx, etcd.Config{Members: members, Dir: dir, History: history.New(), Programs: p.Programs})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all[c] = dir
	return c, nil
}

func (p *Pool) taken(members int) *etcd.Cluster {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, c := range slices.Backward(p.free) {
		if len(c.Members) == members {
			p.free = slices.Delete(p.free, i, i+1)
			return c.Cluster
		}
	}
	return nil
}

// Give takes a cluster back, wiped. One that cannot be wiped is ended, which is no error: its trial is over, and the
// next one gets another; and so are those that nobody has taken for a while. The error is ctx' end, or that a cluster
// did not end as it should.
func (p *Pool) Give(ctx context.Context, c *etcd.Cluster) error {
	limited, done := context.WithTimeoutCause(ctx, wiping, fmt.Errorf("it took longer than %s", wiping))
	defer done()
	unwiped := c.Wipe(limited)
	var errs []error
	for _, over := range p.given(c, unwiped) {
		errs = append(errs, p.end(over))
	}
	if unwiped != nil {
		errs = append(errs, context.Cause(ctx))
	}
	return errors.Join(errs...)
}

// given has a cluster be free where it was wiped, and returns those that are to end.
func (p *Pool) given(c *etcd.Cluster, unwiped error) (over []*etcd.Cluster) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if unwiped == nil {
		p.free = append(p.free, unused{c, now})
	} else {
		p.ended = append(p.ended, fmt.Sprintf("a cluster was ended, and another takes its place: %v", unwiped))
		over = append(over, c)
	}
	for len(p.free) > 0 && now.Sub(p.free[0].since) > idle {
		over, p.free = append(over, p.free[0].Cluster), p.free[1:]
	}
	return over
}

// end ends a cluster that nobody has, and removes its folder.
func (p *Pool) end(c *etcd.Cluster) error {
	p.mu.Lock()
	dir := p.all[c]
	delete(p.all, c)
	p.mu.Unlock()
	return errors.Join(c.Close(), os.RemoveAll(dir))
}

// Ended says of each cluster that was not wiped why it was not.
func (p *Pool) Ended() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.ended)
}

// Close ends every cluster.
func (p *Pool) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for c := range p.all {
		errs = append(errs, c.Close())
	}
	return errors.Join(append(errs, p.remove())...)
}
