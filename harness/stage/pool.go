package stage

import (
	"context"
	"errors"
	"os"
	"sync"

	"ghostroute/harness/etcd"
	"ghostroute/harness/history"
	"ghostroute/harness/scratch"
)

// Pool lends clusters, one owner at a time each, and wipes them in between. A cluster that could not be wiped is ended
// and another started in its place. It is safe for use by many goroutines.
type Pool struct {
	dir    string
	remove func() error

	mu   sync.Mutex
	free []*etcd.Cluster
	all  map[*etcd.Cluster]string // the folder of each
}

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
	c, err := etcd.Start(ctx, etcd.Config{Members: members, Dir: dir, History: history.New()})
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

// Give takes a cluster back, wiped.
func (p *Pool) Give(ctx context.Context, c *etcd.Cluster) error {
	if err := c.Wipe(ctx); err != nil {
		p.mu.Lock()
		dir := p.all[c]
		delete(p.all, c)
		p.mu.Unlock()
		return errors.Join(err, c.Close(), os.RemoveAll(dir))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, c)
	return nil
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
