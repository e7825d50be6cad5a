package model_test

// What stands in the files inproc_*_test.go is a machine made of etcd's own code without its network: the real kvProxy
// and cache of server/proxy/grpcproxy over real mvcc stores, lessors and transactions of server/storage, server/lease
// and server/etcdserver/txn. Raft is the one thing that is played: a write is applied to every member that is not cut
// off.
//
// It takes thousands of steps a second, which a lab cannot, and so holds the model to what etcd's code does. What it
// cannot show is what the network does.

import (
	"errors"
	"fmt"
	"path/filepath"

	"go.uber.org/zap"

	"go.etcd.io/etcd/server/v3/lease"
	"go.etcd.io/etcd/server/v3/storage/backend"
	"go.etcd.io/etcd/server/v3/storage/mvcc"
)

// cluster is a few members that machines share one after another.
type cluster struct {
	members   []*member
	nextLease int64
	passes    string // the RPC that passes its proxies' caches, "" for none: see passing
}

// member is etcd's storage without a server around it.
type member struct {
	backend backend.Backend
	lessor  lease.Lessor
	kv      mvcc.WatchableKV
	cut     bool
	behind  []func(*member) // what it has yet to apply

	forbidden map[string]bool // users without a role, by what it has applied
}

// newCluster makes n members with their files in dir.
func newCluster(dir string, n int) *cluster {
	c := &cluster{nextLease: 1}
	for i := range n {
		m := &member{}
		cfg := backend.DefaultBackendConfig(zap.NewNop())
		cfg.Path = filepath.Join(dir, fmt.Sprintf("m%d.db", i+1))
		cfg.UnsafeNoFsync = true
		cfg.MmapSize = 64 << 20
		m.backend = backend.New(cfg)
		// A lessor that is not primary, as a follower's is not, lets nothing expire of itself; only a primary asks for
		// the cluster's version.
		m.lessor = lease.NewLessor(zap.NewNop(), m.backend, nil, lease.LessorConfig{MinLeaseTTL: 1})
		m.kv = mvcc.New(zap.NewNop(), m.backend, m.lessor, mvcc.StoreConfig{})
		c.members = append(c.members, m)
	}
	return c
}

// Close ends the members.
func (c *cluster) Close() error {
	var errs []error
	for _, m := range c.members {
		m.kv.Close()
		m.lessor.Stop()
		errs = append(errs, m.backend.Close())
	}
	return errors.Join(errs...)
}

// apply runs a write on every member, now or when it is mended, and gives what it gave on member m.
func apply[T any](c *cluster, m int, write func(*member) (T, error)) (T, error) {
	var result T
	var failed error
	for i, x := range c.members {
		if x.cut {
			x.behind = append(x.behind, func(x *member) { _, _ = write(x) })
			continue
		}
		r, err := write(x)
		if i == m {
			result, failed = r, err
		}
	}
	return result, failed
}

func (c *cluster) cut(m int) { c.members[m].cut = true }

func (c *cluster) mend(m int) {
	x := c.members[m]
	x.cut = false
	for _, write := range x.behind {
		write(x)
	}
	x.behind = nil
}

// wipe leaves no key and no lease, and every member at the same revision, which it returns.
func (c *cluster) wipe() int64 {
	for i := range c.members {
		c.mend(i)
	}
	for _, x := range c.members {
		x.forbidden = map[string]bool{}
		for _, l := range x.lessor.Leases() {
			_ = x.lessor.Revoke(l.ID)
		}
	}
	for _, x := range c.members {
		x.kv.Put([]byte("wiped"), nil, lease.NoLease) // so that the revision moves even where there is nothing to delete
		x.kv.DeleteRange([]byte{0}, []byte{})
	}
	return c.members[0].kv.Rev()
}
