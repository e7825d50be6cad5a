package etcd

import (
	"context"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/storage/mvcc"
)

// server is what a member runs from its start to its stop: a server embedded in this process, or a process of its own.
// Everything else about a cluster is the same for both.
type server interface {
	// id is the member's ID, 0 of a process that has not served yet.
	id() uint64
	// state is where it stands now, the zero state where it does not say.
	state() state
	// died says that it ended though nobody told it to, and why; nil while it runs.
	died() error
	// serves waits until it takes clients.
	serves(ctx context.Context) error
	// root is a client of it alone, not to be closed, and ctx with which that may do everything whether authentication
	// is on or not.
	root(ctx context.Context) (context.Context, *clientv3.Client, error)
	// authEnabled says whether authentication is on.
	authEnabled(ctx context.Context) (bool, error)
	// watch watches every key from a revision on.
	watch(from int64) (stream, error)
	// moveLeader has it, which leads, hand over to the member of that ID.
	moveLeader(ctx context.Context, to uint64) error
	// hears has it hear a peer, and what the peer is told by it, or not.
	hears(peer *Member, yes bool)
	// stop ends it as a crash does, or gently as a signal does while ctx lasts. When it returns nothing of it runs.
	stop(ctx context.Context, gently bool) error
}

// state is where a server stands.
type state struct {
	lead      uint64 // the ID of the member that it follows, 0 for none
	index     uint64 // of the last of raft's entries that it has applied
	committed uint64 // of the last of them that it knows to be committed
	rev       int64  // of its store
}

// stream is what a watch delivers.
type stream interface {
	Chan() <-chan mvcc.WatchResponse
	Close()
}
