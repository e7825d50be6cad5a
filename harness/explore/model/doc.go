// Package model is a small model of one etcd and the grpc-proxies in front of it: the rules of etcd's store, leases and
// lagging members, and the stock cache's, without a network, a clock or a goroutine.
//
// It is an oracle: for each step of a plan it says whether a read hits or misses, at which revision its answer was true
// and which keys it holds. And it is quick enough to try every plan up to a length, see Enumerate, and to say of each
// stale answer which rule let it live, see Cause.
//
// Its rules are those of etcd v3.7.3, each named where it is written down: server/proxy/grpcproxy/kv.go,
// server/proxy/grpcproxy/cache/store.go, server/etcdserver/txn and server/storage/mvcc. The tests hold it against that
// code itself. The cache's index is etcd's own (pkg/adt), because what it finds depends on the tree's shape.
package model
