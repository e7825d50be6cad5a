package etcd

import (
	"context"
	"fmt"
	"sync"

	"go.etcd.io/etcd/client/pkg/v3/types"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/grpc"
)

// embedded is a server inside this process.
type embedded struct {
	member *Member
	etcd   *embed.Etcd
	grpc   *serving
	local  *clientv3.Client // calls the server without a socket
}

// embed starts a server inside this process.
func (m *Member) embed() (server, error) {
	cfg, serving := m.config()
	e, err := embed.StartEtcd(cfg)
	if err != nil {
		return nil, fmt.Errorf("%s did not start (see %s): %w", m.Name, m.logFile.Name(), err)
	}
	return &embedded{member: m, etcd: e, grpc: serving, local: v3client.New(e.Server)}, nil
}

func (e *embedded) id() uint64 { return uint64(e.etcd.Server.MemberID()) }

func (e *embedded) state() state {
	s := e.etcd.Server
	return state{lead: s.Lead(), index: s.AppliedIndex(), committed: s.CommittedIndex(), rev: s.KV().Rev()}
}

// died is nil: an embedded server that gives up panics, see openLog.
func (e *embedded) died() error { return nil }

func (e *embedded) serves(ctx context.Context) error {
	m, server := e.member, e.etcd.Server
	select {
	case <-server.ReadyNotify(): // it has published itself through raft; embed now serves clients
		return nil
	case err := <-e.etcd.Err():
		return fmt.Errorf("%s gave up while it waited to publish itself: %w", m.Name, err)
	case <-server.StopNotify():
		return fmt.Errorf("%s stopped itself while it waited to publish itself, see %s", m.Name, m.logFile.Name())
	case <-ctx.Done():
		return fmt.Errorf("%s waited to publish itself through raft, with leader %s, see %s: %w",
			m.Name, m.cluster.nameOf(server.Lead()), m.logFile.Name(), context.Cause(ctx))
	}
}

// root has the rights that the server itself takes to revoke leases (auth/store.go, WithRoot).
func (e *embedded) root(ctx context.Context) (context.Context, *clientv3.Client, error) {
	return e.etcd.Server.AuthStore().WithRoot(ctx), e.local, nil
}

func (e *embedded) authEnabled(context.Context) (bool, error) {
	return e.etcd.Server.AuthStore().IsAuthEnabled(), nil
}

// watch watches inside the server, because etcd lets a watch that begins in the past wait for up to 100 ms.
func (e *embedded) watch(from int64) (stream, error) {
	s := e.etcd.Server.Watchable().NewWatchStream()
	// Every key: an empty end is no end, and a nil one would mean the one key (etcdserver/api/v3rpc/watch.go).
	if _, err := s.Watch(context.Background(), 0, []byte{0}, []byte{}, from); err != nil {
		// it refuses an end before the beginning, and nothing else
		panic(fmt.Sprintf("etcd does not watch every key: %v", err))
	}
	return s, nil
}

func (e *embedded) moveLeader(ctx context.Context, to uint64) error {
	return e.etcd.Server.MoveLeader(ctx, e.id(), to)
}

// hears takes both sides of a cut: CutPeer (etcdserver/server.go) drops what a server sends to a peer and what it reads
// from it, but lets in what the peer posts while it has no stream.
func (e *embedded) hears(peer *Member, yes bool) {
	if id := types.ID(peer.run.id()); yes {
		e.etcd.Server.MendPeer(id)
	} else {
		e.etcd.Server.CutPeer(id)
	}
}

// campaign has the server stand for election. Raft ignores it, silently, until it has taken in the list of members.
func (e *embedded) campaign(ctx context.Context) {
	self := e.id()
	_ = e.etcd.Server.Process(ctx, // fails when ctx ends or the server stops, and then there is no leader
		&raftpb.Message{Type: raftpb.MsgTimeoutNow.Enum(), From: &self, To: &self})
}

func (e *embedded) stop(context.Context, bool) error {
	// Peers go first: what they still had open would be given a second by embed's Close.
	e.member.peers.Drop()
	// Then clients: an open watch would hold GracefulStop for the request timeout.
	e.grpc.stop()
	err := closeClient(e.local)
	// Then the server: embed's Close would hand leadership to a peer, which may be ending too, and wait for it.
	e.etcd.Server.HardStop()
	e.member.peers.Drop() // connections that were being accepted when the link closed
	e.etcd.Close()
	return err
}

// serving is the gRPC server of a server, once embed has made it.
type serving struct {
	mu     sync.Mutex
	server *grpc.Server
}

func (s *serving) register(server *grpc.Server) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.server = server
}

// stop ends every RPC at once, if there is a server yet.
func (s *serving) stop() {
	s.mu.Lock()
	server := s.server
	s.mu.Unlock()
	if server != nil {
		server.Stop()
	}
}
