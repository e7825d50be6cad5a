package etcd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness/history"
	"ghostroute/harness/program"
	"ghostroute/harness/room"
)

// Config says what cluster to start. Members, Dir and History are required.
type Config struct {
	// Members is how many: 1, 3 or 5.
	Members int
	// Dir is an existing folder: a folder of data and a log file for each member go into it, "m1" and "m1.log". The
	// cluster removes neither. It may be removed once Close has returned, not before: etcd ends the process when its
	// data vanishes.
	Dir string
	// Programs are what the members run, each as a process of its own; the zero Members is embedded servers.
	Programs program.Members
	// History gets the faults: stop, kill, cut-peer, compact, move-leader. See Record and Follow, too.
	History *history.History

	// Heartbeat is raft's tick, 60 ms unless set. At 20 ms three idle members take twice as much of a core (34 ms a
	// second), and nothing is sooner but a member that was cut off, which hears what it missed upon a heartbeat.
	Heartbeat time.Duration
	// Election is how long a follower waits for a leader at least before it calls an election, 600 ms unless set; up to
	// twice that at random. At 200 ms a leader was lost now and then in a matrix of 1,450 trials that shared two cores
	// with two other jobs. A lease lives at least one and a half times as long, in whole seconds (etcdserver/server.go,
	// NewServer).
	Election time.Duration
}

// defaults for what a Config leaves out.
const (
	defaultHeartbeat = 60 * time.Millisecond
	defaultElection  = 600 * time.Millisecond
)

// checked returns the config with its defaults, or the first field that cannot be.
func (cfg Config) checked() (Config, error) {
	if cfg.Heartbeat == 0 {
		cfg.Heartbeat = defaultHeartbeat
	}
	if cfg.Election == 0 {
		cfg.Election = defaultElection
	}
	switch {
	case cfg.Members != 1 && cfg.Members != 3 && cfg.Members != 5:
		return cfg, fmt.Errorf("etcd.Config.Members is %d: a cluster has 1, 3 or 5", cfg.Members)
	case cfg.History == nil:
		return cfg, errors.New("etcd.Config.History is nil: faults must be recorded somewhere")
	case cfg.Heartbeat < time.Millisecond || cfg.Heartbeat%time.Millisecond != 0:
		return cfg, fmt.Errorf("etcd.Config.Heartbeat is %v: etcd counts whole milliseconds, at least 1", cfg.Heartbeat)
	case cfg.Election < 5*cfg.Heartbeat || cfg.Election > 50*time.Second || cfg.Election%time.Millisecond != 0:
		return cfg, fmt.Errorf("etcd.Config.Election is %v: "+
			"etcd wants whole milliseconds, at least 5 heartbeats of %v, at most 50s", cfg.Election, cfg.Heartbeat)
	}
	if info, err := os.Stat(cfg.Dir); err != nil {
		return cfg, fmt.Errorf("etcd.Config.Dir cannot hold the members' data: %w", err)
	} else if !info.IsDir() {
		return cfg, fmt.Errorf("etcd.Config.Dir cannot hold the members' data: %s is no folder", cfg.Dir)
	}
	members := cfg.Members
	if cfg.Programs != (program.Members{}) {
		members *= 32 // of a process: it allots 64 MB to its log, and as much to the segment that comes next
	}
	if err := room.Members(cfg.Dir, members); err != nil {
		return cfg, fmt.Errorf("a cluster of %d cannot start: %w", cfg.Members, err)
	}
	return cfg, nil
}

// errClosed is why a wait ended when the cluster closed under it.
var errClosed = errors.New("the cluster is closed")

// Cluster is a running cluster. It is safe for use by many goroutines. Close ends it.
type Cluster struct {
	// Members are m1, m2 … in this order, running or not.
	Members []*Member

	cfg     Config
	born    int // how many members Replace has added
	client  *clientv3.Client
	history atomic.Pointer[history.History]

	ctx       context.Context // ends when the cluster closes, and every wait of its callers with it
	cancel    context.CancelCauseFunc
	followers sync.WaitGroup // the goroutines of Follow

	mu      sync.Mutex    // guards what follows, and every member's run and cut
	changed chan struct{} // closed and replaced when a run or a cut changes, and when the cluster closes
	closed  bool
	clients []*clientv3.Client // those Dial made

	closing  sync.Once
	closeErr error
}

// newCluster returns a cluster without members.
func newCluster(cfg Config) *Cluster {
	c := &Cluster{cfg: cfg, changed: make(chan struct{})}
	c.history.Store(cfg.History)
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	return c
}

// Record has faults recorded in h from now on: for a cluster that serves one bench after another.
func (c *Cluster) Record(h *history.History) { c.history.Store(h) }

// Programs are what the members run, the zero Members where they are embedded.
func (c *Cluster) Programs() program.Members { return c.cfg.Programs }

// Dir is the folder that the members' data and logs are in.
func (c *Cluster) Dir() string { return c.cfg.Dir }

// Member returns the member called name ("m2"), or nil.
func (c *Cluster) Member(name string) *Member {
	for _, m := range c.Members {
		if m.Name == name {
			return m
		}
	}
	return nil
}

// Close ends the members, all at once, and everything the cluster owns: clients, followers, ports. When it returns none
// of them is left and Dir may be removed. Closing twice is allowed.
func (c *Cluster) Close() error {
	c.closing.Do(func() { c.closeErr = c.close() })
	return c.closeErr
}

func (c *Cluster) close() error {
	c.mu.Lock()
	c.closed = true
	clients := c.clients
	c.clients = nil
	c.notify()
	c.mu.Unlock()
	c.cancel(errClosed)
	c.followers.Wait()

	var errs []error
	for _, client := range clients {
		errs = append(errs, closeClient(client))
	}
	// One after the other each would lose its leader to the next and elect for nothing.
	return errors.Join(append(errs, all(c.Members, (*Member).close))...)
}

// notify wakes every wait for a change of a member's state. The caller holds mu.
func (c *Cluster) notify() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// node is a member with the server it ran when it was looked at.
type node struct {
	*Member
	server server
	cut    bool
}

// running returns the members that run.
func (c *Cluster) running() []node {
	c.mu.Lock()
	defer c.mu.Unlock()
	var nodes []node
	for _, m := range c.Members {
		if m.run != nil {
			nodes = append(nodes, node{Member: m, server: m.run, cut: m.cut})
		}
	}
	return nodes
}

// connected returns the members that run and are not cut off.
func (c *Cluster) connected() []node {
	var nodes []node
	for _, n := range c.running() {
		if !n.cut {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// changes returns a channel that is closed when a member's state changes next, and whether the cluster is closed.
func (c *Cluster) changes() (changed <-chan struct{}, closed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed, c.closed
}

// connects says whether n still runs what it ran and is not cut off.
func (c *Cluster) connects(n node) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return n.run == n.server && !n.Member.cut
}
