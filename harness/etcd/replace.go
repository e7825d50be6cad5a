package etcd

import (
	"context"
	"errors"
	"fmt"
)

// Replace takes a member out of the cluster for good and adds a new one in its place, on other addresses and under the
// next name, as an operator does to move etcd to another machine. It returns the new member once it serves. No other
// goroutine may use c.Members meanwhile.
func (c *Cluster) Replace(ctx context.Context, old *Member) (*Member, error) {
	fresh, err := c.replace(ctx, old)
	if err != nil {
		return nil, fmt.Errorf("%s was not replaced: %w", old.Name, err)
	}
	return fresh, nil
}

func (c *Cluster) replace(ctx context.Context, old *Member) (*Member, error) {
	at, stays := -1, (*Member)(nil)
	for i, m := range c.Members {
		switch {
		case m == old:
			at = i
		case m.Running():
			stays = m
		}
	}
	if at < 0 || stays == nil {
		return nil, errors.New("it is none of the cluster's, or no other is running")
	}
	if err := c.MoveLeader(ctx, stays); err != nil {
		return nil, err
	}
	if _, err := stays.Client().MemberRemove(ctx, old.ID()); err != nil {
		return nil, err
	}
	if err := old.close(); err != nil {
		return nil, err
	}
	c.born++
	fresh := &Member{Name: fmt.Sprintf("m%d", c.cfg.Members+c.born), cluster: c, joins: true}
	fresh.dir = c.dirOf(fresh.Name)
	c.mu.Lock()
	c.Members[at] = fresh
	c.mu.Unlock()
	if err := fresh.furnish(); err != nil {
		return nil, err
	}
	if _, err := stays.Client().MemberAdd(ctx, []string{"http://" + fresh.peers.Addr()}); err != nil {
		return nil, err
	}
	// The new member asks any of the others for the list of members: all of them must have it.
	for _, n := range c.running() {
		if n.Member == stays {
			if err := c.waitIndex(ctx, n.server.state().index); err != nil {
				return nil, err
			}
		}
	}
	fresh.life.Lock()
	defer fresh.life.Unlock()
	fresh.open.Store(true)
	if err := fresh.start(); err != nil {
		return nil, err
	}
	return fresh, fresh.ready(ctx)
}
