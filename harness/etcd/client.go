package etcd

import (
	"context"
	"errors"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
)

// Client is a client of all members. It is the cluster's: do not close it. It has no user, so once authentication is
// enabled it may do nothing but authenticate; see Dial. It asks members in turn, one that is cut off too, which lets a
// write wait for seconds: write with the Client of the Leader then.
func (c *Cluster) Client() *clientv3.Client { return c.client }

// Dial returns another client of all members, as user if that is not "": etcd must know the user by now. The cluster
// closes it if the caller has not.
func (c *Cluster) Dial(user, password string) (*clientv3.Client, error) {
	endpoints := make([]string, len(c.Members))
	for i, m := range c.Members {
		endpoints[i] = m.Endpoint()
	}
	client, err := newClient(c.Members[0].log, endpoints, user, password)
	if err != nil {
		return nil, fmt.Errorf("no client of the members as user %q: %w", user, err)
	}
	return c.own(client)
}

// own has the cluster close client when it closes.
func (c *Cluster) own(client *clientv3.Client) (*clientv3.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errors.Join(errors.New("no client of the members: the cluster is closed"), closeClient(client))
	}
	c.clients = append(c.clients, client)
	return client, nil
}

// newClient returns a client that comes back within milliseconds when a member does: gRPC would wait a second before
// its second attempt to connect. It logs to log.
func newClient(log *zap.Logger, endpoints []string, user, password string) (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{
		Endpoints:   endpoints,
		Username:    user,
		Password:    password,
		DialTimeout: 5 * time.Second, // bounds the authentication
		Logger:      log.Named("client"),
		DialOptions: []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{
				BaseDelay: 2 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 50 * time.Millisecond,
			},
			MinConnectTimeout: time.Second,
		})},
	})
}

// closeClient closes client, which may have been closed before.
func closeClient(client *clientv3.Client) error {
	if client == nil {
		return nil
	}
	if err := client.Close(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
