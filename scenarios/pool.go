package scenarios

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"ghostroute/harness/etcd"
	"ghostroute/harness/history"
)

// Pool lends clusters of three members to trials, one trial at a time each, and wipes them in between. A cluster that could not be wiped
// is ended and another started in its place.
type Pool struct {
	dir string

	mu   sync.Mutex
	free []*etcd.Cluster
	all  map[*etcd.Cluster]string
}

// NewPool returns a pool that has no cluster yet. Close it.
func NewPool() (*Pool, error) {
	dir, err := os.MkdirTemp("", fmt.Sprintf("ghostroute-%d-pool-", os.Getpid())) // a name by which the next bench removes what a killed process left
	if err != nil {
		return nil, err
	}
	return &Pool{dir: dir, all: map[*etcd.Cluster]string{}}, nil
}

// Take lends a cluster, starting one if none is free.
func (p *Pool) Take(ctx context.Context) (*etcd.Cluster, error) {
	p.mu.Lock()
	if n := len(p.free); n > 0 {
		c := p.free[n-1]
		p.free = p.free[:n-1]
		p.mu.Unlock()
		return c, nil
	}
	p.mu.Unlock()
	dir, err := os.MkdirTemp(p.dir, "cluster-")
	if err != nil {
		return nil, err
	}
	c, err := etcd.Start(ctx, etcd.Config{Members: 3, Dir: dir, History: history.New()})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all[c] = dir
	return c, nil
}

// Give takes a cluster back.
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
	return errors.Join(append(errs, os.RemoveAll(p.dir))...)
}
