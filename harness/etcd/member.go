package etcd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"ghostroute/harness/history"
	"ghostroute/harness/link"
	"ghostroute/harness/port"
	"ghostroute/harness/program"
)

// Member is one member of a cluster, running or stopped. It is safe for use by many goroutines.
type Member struct {
	// Name is "m1", "m2" …
	Name string

	cluster    *Cluster
	dir        string     // its data
	clientPort *port.Port // where its server listens for clients
	httpPort   *port.Port // where its server listens for HTTP/1: metrics, health
	peerPort   *port.Port // where its server listens for peers
	peers      *link.Link // where peers know it, and what dials peerPort
	client     *clientv3.Client
	log        *zap.Logger
	logFile    *os.File

	open atomic.Bool // whether the link lets peers through

	joins bool // it is added to a cluster that runs

	life sync.Mutex // one of Stop, Kill, Restart and Close at a time

	// guarded by cluster.mu
	run server // nil while stopped
	cut bool
	how history.FaultKind // what stopped it: "stop" or "kill"
	at  int64             // the revision it had then
}

// Endpoint is where clients reach the member by gRPC, "127.0.0.1:port", for the cluster's whole life. Connections are
// refused while it is stopped.
func (m *Member) Endpoint() string { return m.clientPort.Addr() }

// Client is a client of this member only. It is the cluster's: do not close it.
func (m *Member) Client() *clientv3.Client { return m.client }

// ID is the member's ID, which is in the header of its answers; 0 while the member is stopped.
func (m *Member) ID() uint64 {
	for _, n := range m.cluster.running() {
		if n.Member == m {
			return n.server.id()
		}
	}
	return 0
}

// Running says whether the member was started and not stopped since.
func (m *Member) Running() bool {
	m.cluster.mu.Lock()
	defer m.cluster.mu.Unlock()
	return m.run != nil
}

// Applied is the revision of the member's store: what a serializable read on it would be answered at. It is 0 while the
// member is stopped.
func (m *Member) Applied() int64 {
	m.cluster.mu.Lock()
	r := m.run
	m.cluster.mu.Unlock()
	if r == nil {
		return 0
	}
	return r.state().rev
}

// Stop ends the member as a signal ends etcd: it hands leadership over if it has it, then stops serving. Its data
// stays. ctx bounds the handing over only.
func (m *Member) Stop(ctx context.Context) error {
	m.life.Lock()
	defer m.life.Unlock()
	if !m.Running() {
		return fmt.Errorf("%s cannot be stopped: it is not running", m.Name)
	}
	m.cluster.handOver(ctx, m)
	return m.end(ctx, history.Stop)
}

// Kill ends the member as a crash does: leadership is not handed over, peers find out. Its data stays.
func (m *Member) Kill() error {
	m.life.Lock()
	defer m.life.Unlock()
	if !m.Running() {
		return fmt.Errorf("%s cannot be killed: it is not running", m.Name)
	}
	return m.end(context.Background(), history.Kill)
}

// end stops the member and records how. The caller holds life.
func (m *Member) end(ctx context.Context, how history.FaultKind) error {
	m.record(how, history.Fire, "")
	at := m.Applied()
	m.cluster.mu.Lock()
	m.how, m.at = how, at
	m.cluster.mu.Unlock()
	return m.halt(ctx, how == history.Stop)
}

// Restart starts a stopped member with its data at the address it had, and returns once it serves: it has then applied
// everything that was acknowledged before. Without a quorum no member serves, so where several are stopped restart them
// at the same time. If ctx ends first the member is stopped again.
func (m *Member) Restart(ctx context.Context) error {
	m.life.Lock()
	defer m.life.Unlock()
	m.cluster.mu.Lock()
	running, cut, closed, how, at := m.run != nil, m.cut, m.cluster.closed, m.how, m.at
	m.cluster.mu.Unlock()
	switch {
	case running:
		return fmt.Errorf("%s cannot be restarted: it is running", m.Name)
	case cut:
		return fmt.Errorf("%s cannot be restarted: it is cut off from its peers and would never be ready; Mend it first",
			m.Name)
	case closed:
		return fmt.Errorf("%s cannot be restarted: its cluster is closed", m.Name)
	}
	ctx, cancel := m.cluster.bound(ctx)
	defer cancel()
	lag := m.cluster.behind(at)
	m.open.Store(true)
	err := m.start()
	if err == nil {
		m.cluster.mu.Lock()
		m.cluster.cutPairs() // the new server does not know which others are cut off
		m.cluster.mu.Unlock()
		err = m.ready(ctx)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("%s did not come back: %w", m.Name, err),
			m.halt(ctx, false))
	}
	m.recordMet(how, history.End, lag, "")
	return nil
}

// start starts a server. The caller holds life, or the member is not shared yet.
func (m *Member) start() error {
	start := m.embed
	if m.cluster.cfg.Programs != (program.Members{}) {
		start = m.spawn
	}
	server, err := start()
	if err != nil {
		return err
	}
	m.cluster.mu.Lock()
	defer m.cluster.mu.Unlock()
	m.run = server
	m.cluster.notify()
	return nil
}

// halt ends the member's server if it has one. When it returns nothing of it runs. The caller holds life.
func (m *Member) halt(ctx context.Context, gently bool) error {
	m.cluster.mu.Lock()
	r := m.run
	m.run = nil
	m.cluster.notify()
	m.cluster.mu.Unlock()

	m.open.Store(false)
	if r == nil {
		return nil
	}
	return r.stop(ctx, gently)
}

// close ends the member for good.
func (m *Member) close() error {
	m.life.Lock()
	defer m.life.Unlock()
	return errors.Join(m.halt(context.Background(), false), m.strip())
}

// dial is the target of the member's peer link.
func (m *Member) dial(ctx context.Context) (net.Conn, error) {
	if !m.open.Load() {
		return nil, fmt.Errorf("%s lets no peer through", m.Name)
	}
	m.cluster.mu.Lock()
	x, process := m.run.(*external)
	refused := process && !x.admits(link.From(ctx))
	m.cluster.mu.Unlock()
	if refused {
		return nil, fmt.Errorf("%s does not hear this peer", m.Name)
	}
	return new(net.Dialer).DialContext(ctx, "tcp", m.peerPort.Addr())
}

// record writes a fault of this member to the history.
func (m *Member) record(kind history.FaultKind, op history.FaultOp, detail string) {
	m.recordMet(kind, op, 0, detail)
}

func (m *Member) recordMet(kind history.FaultKind, op history.FaultOp, met int64, detail string) {
	m.cluster.history.Load().Add(history.Event{
		Who:   m.Name,
		Fault: &history.Fault{Kind: kind, Op: op, Target: m.Name, Met: met, Detail: detail},
	})
}

// behind is how many revisions other members have beyond one.
func (c *Cluster) behind(revision int64) int64 {
	highest := revision
	for _, n := range c.running() {
		highest = max(highest, n.server.state().rev)
	}
	return highest - revision
}
