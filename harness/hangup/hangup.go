// Package hangup ends etcd clients, which do not always end when they are closed.
package hangup

import (
	"context"
	"errors"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// patience is how long a client has to end by itself. One that can takes less than a millisecond.
const patience = 2 * time.Second

// Close closes an etcd client, and leaves it alone if it hangs: its connection is closed then, and two goroutines of
// its watcher stay for ever. That is a race in etcd's client/v3/watch.go: where a watch is refused (the answer is
// Created and Canceled at once, as for want of permission), addSubstream closes the substream without putting it among
// those that run's deferred function drains; if the client is closed before the substream has announced itself, it
// waits to be heard, and run waits for it. A grpc-proxy in front of a cluster with authentication on has its watch of
// "__lostleader" refused ten times a second (grpcproxy/leader.go), and meets it now and then.
func Close(c *clientv3.Client) error {
	if err := Closed(c); !errors.Is(err, ErrHangs) {
		return err
	}
	err := c.ActiveConnection().Close()
	if status.Code(err) == codes.Canceled {
		err = nil // it did end, late: the machine was busy
	}
	return errors.Join(c.Lease.Close(), err)
}

// ErrHangs is what Closed says of a client that does not end.
var ErrHangs = errors.New("it hangs")

// Closed closes an etcd client as Close does, and says whether it hangs. One that does has its connection left.
func Closed(c *clientv3.Client) error {
	if c == nil {
		return nil
	}
	closed := make(chan error, 1)
	go func() { closed <- c.Close() }()
	select {
	case err := <-closed:
		if errors.Is(err, context.Canceled) {
			return nil // it was closed before
		}
		return err
	case <-time.After(patience):
		return fmt.Errorf("%w after %s", ErrHangs, patience)
	}
}

// KnownLeaks are the goroutines that a client which hangs leaves behind, and the one that waits for it.
func KnownLeaks() []goleak.Option {
	const stream = "go.etcd.io/etcd/client/v3.(*watchGRPCStream)."
	return []goleak.Option{
		goleak.IgnoreAnyFunction(stream + "serveSubstream.func1"),
		goleak.IgnoreTopFunction(stream + "waitCancelSubstreams.func1.1"),
		goleak.IgnoreAnyFunction(stream + "run"),
		goleak.IgnoreAnyFunction(stream + "close"),
		goleak.IgnoreAnyFunction("ghostroute/harness/hangup.Closed.func1"),
	}
}
