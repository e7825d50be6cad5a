// Package rpctypes stands in for github.com/coreos/etcd/etcdserver/api/v3rpc/rpctypes: the one error go-micro compares
// with.
package rpctypes

import "go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

// ErrLeaseNotFound is what a keep-alive of an ended lease returns.
var ErrLeaseNotFound = rpctypes.ErrLeaseNotFound
