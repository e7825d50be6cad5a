// Package clientv3 stands in for github.com/coreos/etcd/clientv3 of 2019, which go-micro v2 imports and which cannot be
// built with the gRPC that today's etcd needs. It has exactly the names that go-micro's registry/etcd uses, each an
// alias of go.etcd.io/etcd/client/v3, so go-micro compiles unmodified and talks to etcd through today's client.
package clientv3

import clientv3 "go.etcd.io/etcd/client/v3"

type (
	Client             = clientv3.Client
	Config             = clientv3.Config
	LeaseID            = clientv3.LeaseID
	LeaseGrantResponse = clientv3.LeaseGrantResponse
	WatchChan          = clientv3.WatchChan
	OpOption           = clientv3.OpOption
)

const (
	EventTypePut    = clientv3.EventTypePut
	EventTypeDelete = clientv3.EventTypeDelete
)

// New opens a client, as clientv3.New does.
func New(cfg Config) (*Client, error) { return clientv3.New(cfg) }

// WithPrefix makes a request one for every key that starts with its key.
func WithPrefix() OpOption { return clientv3.WithPrefix() }

// WithSerializable makes a read serializable: the member that answers need not ask the cluster.
func WithSerializable() OpOption { return clientv3.WithSerializable() }

// WithLease attaches a lease to a put.
func WithLease(id LeaseID) OpOption { return clientv3.WithLease(id) }

// WithPrevKV asks for the value before the event.
func WithPrevKV() OpOption { return clientv3.WithPrevKV() }
