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
	free  []*etcd.Cluster
	all   map[*etcd.Cluster]string // the folder of each
	ended []string
}

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
	for i, c := range p.free {
		if len(c.Members) == members {
			p.free = append(p.free[:i], p.free[i+1:]...)
			return c
		}
	}
	return nil
}

// Give takes a cluster back, wiped. One that cannot be wiped is ended, which is no error: its trial is over, and the
// next one gets another. The error is ctx' end, or that the cluster did not end as it should.
func (p *Pool) Give(ctx context.Context, c *etcd.Cluster) error {
	limited, done := context.WithTimeoutCause(ctx, wiping, fmt.Errorf("it took longer than %s", wiping))
	defer done()
	unwiped := c.Wipe(limited)
	p.mu.Lock()
	if unwiped == nil {
		p.free = append(p.free, c)
		p.mu.Unlock()
		return nil
	}
	dir := p.all[c]
	delete(p.all, c)
	p.ended = append(p.ended, fmt.Sprintf("a cluster was ended, and another takes its place: %v", unwiped))
	p.mu.Unlock()
	return errors.Join(context.Cause(ctx), c.Close(), os.RemoveAll(dir))
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
