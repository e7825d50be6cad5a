// Package etcd runs etcd members inside this process: real [embed] servers that talk raft over loopback, and boot and close fast
// enough to be started anew for each test.
//
// # Doors
//
// A member has two. Clients come in at a TCP port that is reserved for the cluster's whole life ([port.Port]): no neighbour can
// take it, a stopped member refuses connections, a restarted one is where it was. Peers come in at a [link.Link] that relays to
// another such port. It lets nobody through before every member's server exists, because a member that starts for the first time
// asks its peers for the cluster and would wait a second for one that listens and does not answer yet (etcdserver/bootstrap.go,
// isMemberBootstrapped); and it drops the peers' connections when a member ends, because embed gives those another second
// (embed/etcd.go, Close).
//
// # The first leader
//
// A new cluster does not wait for an election timeout. Start steps raft's MsgTimeoutNow into m1, which is what a leader sends to
// the member it hands leadership to (raft.go, stepFollower): m1 campaigns at once and, all members being equally new, wins. Later
// elections are raft's own.
package etcd
