package etcd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/storage/mvcc"

	"ghostroute/harness/link"
	"ghostroute/harness/process"
	"ghostroute/harness/program"
)

// Root is the name and the password of the user as which a member that is a process is asked where authentication is
// on.
const Root = "root"

// answers is how long a process has to say where it stands: one that stands still must not hold everything up.
const answers = time.Second

// external is a server that is a process of its own.
type external struct {
	member *Member
	*process.Process

	mu       sync.Mutex
	memberID uint64
	asRoot   *clientv3.Client // once it was needed
	deaf     map[*Member]bool // the peers that it does not hear, nor they it
	told     bool             // it has been told that it never served, and why
}

// program is what the member runs as a process.
func (m *Member) program() program.Program {
	return m.cluster.cfg.Programs.Of(slices.Index(m.cluster.Members, m) + 1)
}

// spawn starts a server as a process.
func (m *Member) spawn() (server, error) {
	if m.joins {
		return nil, fmt.Errorf("%s is a process, and no member of such a cluster is replaced", m.Name)
	}
	url := func(addr string) string { return "http://" + addr }
	var cluster []string
	for _, peer := range m.cluster.Members {
		cluster = append(cluster, peer.Name+"="+url(peer.peers.Addr()))
	}
	cfg := m.cluster.cfg
	p, err := m.program().Start(m.Name, cfg.Dir, m.dir+"-etcd.log",
		"--name", m.Name, "--data-dir", m.dir,
		"--listen-client-urls", url(m.Endpoint()), "--advertise-client-urls", url(m.Endpoint()),
		"--listen-peer-urls", url(m.peerPort.Addr()), "--initial-advertise-peer-urls", url(m.peers.Addr()),
		"--initial-cluster", strings.Join(cluster, ","), "--initial-cluster-token", cfg.Dir,
		"--heartbeat-interval", fmt.Sprint(cfg.Heartbeat.Milliseconds()),
		"--election-timeout", fmt.Sprint(cfg.Election.Milliseconds()),
		"--bcrypt-cost", "4", // the least there is: a password check costs 1 ms and not 70
	)
	if err != nil {
		return nil, err
	}
	return &external{member: m, Process: p, deaf: map[*Member]bool{}}, nil
}

func (x *external) id() uint64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.memberID
}

// state is by the maintenance API's Status, which etcd lets nobody but a user ask where authentication is on.
func (x *external) state() state {
	ctx, cancel := context.WithTimeout(context.Background(), answers)
	defer cancel()
	r, err := status(ctx, x.member.client)
	if errors.Is(err, rpctypes.ErrUserEmpty) {
		var c *clientv3.Client
		if c, err = x.asUser(); err == nil {
			r, err = status(ctx, c)
		}
	}
	if err != nil {
		return state{}
	}
	x.mu.Lock()
	x.memberID = r.Header.MemberId
	x.mu.Unlock()
	return state{lead: r.Leader, index: r.RaftAppliedIndex, committed: r.RaftIndex, rev: r.Header.Revision}
}

// status asks over the connection that is there; etcd's client makes one for each Status.
func status(ctx context.Context, c *clientv3.Client) (*pb.StatusResponse, error) {
	r, err := pb.NewMaintenanceClient(c.ActiveConnection()).Status(ctx, &pb.StatusRequest{})
	return r, rpctypes.Error(err)
}

func (x *external) died() error { return x.Err() }

// bootstrapped is what a process says when it has asked its peers for the cluster: 3.4 the one, later ones the other.
var bootstrapped = regexp.MustCompile("starting (local )?member")

// bootstraps waits until the process has asked its peers for the cluster, for whom it would wait a second each were
// they let through before (see the package's Doors). It says so in its log, and nowhere else; one that does not is not
// waited for longer than it would wait itself.
func (x *external) bootstraps(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, answers)
	defer cancel()
	_ = x.Await(ctx, func() string {
		said, err := os.ReadFile(x.member.dir + "-etcd.log")
		if err == nil && bootstrapped.Match(said) {
			return ""
		}
		return "it has not bootstrapped"
	})
}

func (x *external) serves(ctx context.Context) error {
	err := x.Await(ctx, func() string {
		if x.state() != (state{}) {
			return ""
		}
		return x.member.Name + " does not say where it stands"
	})
	x.mu.Lock()
	defer x.mu.Unlock()
	x.told = err != nil
	return err
}

func (x *external) authEnabled(ctx context.Context) (bool, error) {
	_, err := x.member.client.Get(ctx, "\x00", clientv3.WithSerializable())
	if errors.Is(err, rpctypes.ErrUserEmpty) {
		return true, nil
	}
	return false, err
}

// root is the member's own client, or where authentication is on one that is the user Root.
func (x *external) root(ctx context.Context) (context.Context, *clientv3.Client, error) {
	on, err := x.authEnabled(ctx)
	if err != nil || !on {
		return ctx, x.member.client, err
	}
	c, err := x.asUser()
	return ctx, c, err
}

func (x *external) asUser() (*clientv3.Client, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.asRoot == nil {
		c, err := newClient(x.member.log, []string{x.member.Endpoint()}, Root, Root)
		if err != nil {
			return nil, fmt.Errorf("%s does not let %s in: %w", x.member.Name, Root, err)
		}
		x.asRoot = c
	}
	return x.asRoot, nil
}

func (x *external) moveLeader(ctx context.Context, to uint64) error {
	ctx, c, err := x.root(ctx)
	if err == nil {
		_, err = c.MoveLeader(ctx, to)
	}
	return err
}

// watched is a watch over the wire.
type watched struct {
	events chan mvcc.WatchResponse
	cancel context.CancelFunc
	done   chan struct{}
}

func (x *external) watch(from int64) (stream, error) {
	limited, end := context.WithTimeout(context.Background(), answers)
	defer end()
	_, c, err := x.root(limited)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	w := &watched{events: make(chan mvcc.WatchResponse), cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(w.done)
		for w.pass(ctx, c, &from) {
			select { // it was refused: for want of a permission, say
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond):
			}
		}
	}()
	return w, nil
}

// pass delivers what a watch from a revision on delivers, and says whether there is more to come when that has ended.
func (w *watched) pass(ctx context.Context, c *clientv3.Client, from *int64) (more bool) {
	for r := range c.Watch(ctx, "\x00", clientv3.WithFromKey(), clientv3.WithRev(*from)) {
		if len(r.Events) == 0 && r.CompactRevision == 0 {
			continue
		}
		select {
		case w.events <- mvcc.WatchResponse{Events: r.Events, CompactRevision: r.CompactRevision}:
		case <-ctx.Done():
			return false
		}
		if r.CompactRevision > 0 {
			return false
		}
		*from = r.Events[len(r.Events)-1].Kv.ModRevision + 1
	}
	return ctx.Err() == nil
}

func (w *watched) Chan() <-chan mvcc.WatchResponse { return w.events }

func (w *watched) Close() {
	w.cancel()
	<-w.done
}

// hears cuts the ways between two processes: what is open to this one, and what will be (see dial).
func (x *external) hears(peer *Member, yes bool) {
	x.mu.Lock()
	if yes {
		delete(x.deaf, peer)
	} else {
		x.deaf[peer] = true
	}
	x.mu.Unlock()
	if !yes {
		x.member.peers.DropIf(func(c link.Conn) bool { return !x.admits(c.From) })
	}
}

// admits says whether what comes from an address may come in: while there is a peer that it does not hear, only what is
// another's. The cluster's mu is held.
func (x *external) admits(from string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.deaf) == 0 {
		return true
	}
	for _, peer := range x.member.cluster.Members {
		if other, ok := peer.run.(*external); ok && !x.deaf[peer] && other.Owns(from, x.member.peers.Addr()) {
			return true
		}
	}
	return false
}

// grace is how long a process that was told to end has at most.
const grace = 10 * time.Second

func (x *external) stop(ctx context.Context, gently bool) error {
	died := x.Err()
	if gently {
		ctx, cancel := context.WithTimeout(ctx, grace)
		defer cancel()
		x.Stop(ctx)
	} else {
		x.Kill()
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.told {
		died = nil
	}
	return errors.Join(died, closeClient(x.asRoot))
}
