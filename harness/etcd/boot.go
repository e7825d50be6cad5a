package etcd

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"google.golang.org/grpc"

	"ghostroute/harness/link"
	"ghostroute/harness/port"
	"ghostroute/harness/program"
)

// A member allots 64 MB to its log before it starts and as much again to the segment that comes next: nothing much on a
// disk, 123 MB of memory where the data lie in a memory file system. etcd has a package variable for its own tests to
// make that smaller, and no other way; set here, no goroutine can be reading it meanwhile.
func init() { wal.SegmentSizeBytes = 1 << 20 }

// Start starts a new cluster and returns once it has a leader that all members follow, each member serves, and
// linearizable reads are answered. If it cannot, or ctx ends first, the error says which member waited for what, and
// nothing is left running.
func Start(ctx context.Context, cfg Config) (*Cluster, error) {
	cfg, err := cfg.checked()
	if err != nil {
		return nil, err
	}
	c := newCluster(cfg)
	if err = c.furnish(); err == nil {
		err = c.start(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("a cluster of %d in %s did not start: %w", cfg.Members, cfg.Dir, err), c.Close())
	}
	return c, nil
}

// start starts the furnished members.
func (c *Cluster) start(ctx context.Context) error {
	if err := all(c.Members, (*Member).start); err != nil {
		return err
	}
	for _, m := range c.Members {
		if x, process := m.run.(*external); process {
			x.bootstraps(ctx)
		}
	}
	for _, m := range c.Members {
		m.open.Store(true)
	}
	if err := c.elect(ctx); err != nil {
		return err
	}
	if err := all(c.Members, func(m *Member) error { return m.ready(ctx) }); err != nil {
		return err
	}
	_, err := c.Leader(ctx)
	return err
}

// all calls f for each member at the same time and returns once every call has.
func all(members []*Member, f func(*Member) error) error {
	errs := make([]error, len(members))
	var wg sync.WaitGroup
	for i, m := range members {
		wg.Go(func() { errs[i] = f(m) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// furnish makes the members, without their servers.
func (c *Cluster) furnish() error {
	for i := range c.cfg.Members {
		m := &Member{Name: fmt.Sprintf("m%d", i+1), cluster: c}
		m.dir = c.dirOf(m.Name)
		c.Members = append(c.Members, m)
		if err := m.furnish(); err != nil {
			return err
		}
	}
	var err error
	c.client, err = c.Dial("", "")
	return err
}

// dirOf is where a member of that name has its data.
func (c *Cluster) dirOf(name string) string { return filepath.Join(c.cfg.Dir, name) }

// furnish makes what a member keeps while it is stopped. If it fails, strip undoes what it made.
func (m *Member) furnish() error {
	if err := os.Mkdir(m.dir, 0o700); err != nil { // etcd warns of any other mode
		return fmt.Errorf("%s has no folder of its own for its data: %w", m.Name, err)
	}
	var err error
	if m.log, m.logFile, err = openLog(m.dir + ".log"); err != nil {
		return fmt.Errorf("%s has no log: %w", m.Name, err)
	}
	reserve := port.Reserve
	if m.cluster.cfg.Programs != (program.Members{}) {
		reserve = port.ReserveForProcess
	}
	for _, p := range []**port.Port{&m.clientPort, &m.httpPort, &m.peerPort} {
		if *p, err = reserve(); err != nil {
			return fmt.Errorf("%s has nowhere to listen: %w", m.Name, err)
		}
	}
	if m.peers, err = link.Listen("peers→"+m.Name, m.dial); err != nil {
		return fmt.Errorf("%s has nowhere for peers to find it: %w", m.Name, err)
	}
	m.client, err = newClient(m.log, []string{m.Endpoint()}, "", "")
	return err
}

// strip gives back what furnish made, all or some of it.
func (m *Member) strip() error {
	errs := []error{closeClient(m.client)}
	if m.peers != nil {
		errs = append(errs, m.peers.Close())
	}
	for _, p := range []*port.Port{m.clientPort, m.httpPort, m.peerPort} {
		if p != nil {
			errs = append(errs, p.Close())
		}
	}
	if m.logFile != nil {
		errs = append(errs, m.logFile.Close())
	}
	return errors.Join(errs...)
}

// config is what embed starts the member with, and what will hold the gRPC server that embed makes.
func (m *Member) config() (*embed.Config, *serving) {
	serving := new(serving)
	cfg := embed.NewConfig()
	cfg.Name = m.Name
	cfg.Dir = m.dir
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(m.log)
	cfg.TickMs = uint(m.cluster.cfg.Heartbeat / time.Millisecond)
	cfg.ElectionMs = uint(m.cluster.cfg.Election / time.Millisecond)

	cfg.ListenPeerUrls = []url.URL{at(m.peerPort.Addr())}
	cfg.AdvertisePeerUrls = []url.URL{at(m.peers.Addr())}
	cfg.ListenClientUrls = []url.URL{at(m.clientPort.Addr())}
	cfg.AdvertiseClientUrls = cfg.ListenClientUrls
	cfg.SocketOpts.ReusePort = true // how a reserved port is listened on
	// HTTP/1 elsewhere makes embed serve gRPC on the listener itself and not behind a multiplexer, which reads ahead
	// and which a connection that says nothing keeps from ending (embed/serve.go).
	cfg.ListenClientHttpUrls = []url.URL{at(m.httpPort.Addr())}
	cfg.EnableGRPCGateway = false
	cfg.ServiceRegister = serving.register
	// A read that is under way when the server ends would meet a backend that is closed, and panic.
	cfg.GRPCAdditionalServerOptions = []grpc.ServerOption{grpc.WaitForHandlers(true)}

	cluster := make([]string, len(m.cluster.Members))
	for i, peer := range m.cluster.Members {
		cluster[i] = peer.Name + "=http://" + peer.peers.Addr()
	}
	cfg.InitialCluster = strings.Join(cluster, ",")
	cfg.InitialClusterToken = m.cluster.cfg.Dir
	if m.joins {
		cfg.ClusterState = embed.ClusterStateFlagExisting
	}
	// The first leader does not come of a timeout, and fast-forwarded followers would depose it if it was late once.
	cfg.InitialElectionTickAdvance = false
	// else no member is replaced before all have been connected for 5 s (etcdserver, HealthInterval)
	cfg.StrictReconfigCheck = false
	cfg.UnsafeNoFsync = true // the data need not survive the machine, only the member
	cfg.BcryptCost = 4       // the least there is: a password check costs 1 ms and not 70
	return cfg, serving
}

// at is the URL of the address host:port.
func at(address string) url.URL { return url.URL{Scheme: "http", Host: address} }

// elect has m1 campaign, where it is embedded, and waits until all members follow it.
func (c *Cluster) elect(ctx context.Context) error {
	m1, embedded := c.Members[0].run.(*embedded)
	if !embedded { // a process elects by itself, and serves no client before
		return nil
	}
	// m1 gets the message again, a little later each time; a candidate and a leader ignore it. The repetition must end
	// before election timeouts begin to pass: one more message would have m1 depose the leader elected then, and an m1
	// whose log has fallen behind would do so for ever.
	next, pause := time.Now(), 2*pollEvery
	return c.wait(ctx, func() string {
		s := m1.state()
		if s.lead != 0 {
			_, why := c.leader()
			return why
		}
		if now := time.Now(); s.index >= uint64(len(c.Members)) && !now.Before(next) && pause < c.cfg.Election/2 {
			m1.campaign(ctx)
			next, pause = now.Add(pause), 2*pause
		}
		return "m1 waited to be elected"
	})
}

// ready waits until the member serves and has answered a linearizable read.
func (m *Member) ready(ctx context.Context) error {
	if err := m.run.serves(ctx); err != nil {
		return err
	}
	// With authentication on the client gets ErrUserEmpty, once the read itself has succeeded.
	if _, err := m.client.Get(ctx, "\x00"); err != nil && !errors.Is(err, rpctypes.ErrUserEmpty) {
		return fmt.Errorf("%s waited for its first linearizable read, see %s: %w", m.Name, m.logFile.Name(), err)
	}
	return nil
}
