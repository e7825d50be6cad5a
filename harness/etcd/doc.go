// Package etcd runs etcd members inside this process: real [embed] servers that talk raft over loopback, and boot and
// close fast enough to be started anew for each test. With Config.Programs each is a process of its own instead, an
// etcd of any version; what is true of a cluster is true of both, and one suite of tests holds for both.
//
// # Doors
//
// A member has two. Clients come in at a TCP port that is reserved for the cluster's whole life ([port.Port]): no
// neighbour can take it, a stopped member refuses connections, a restarted one is where it was. Peers come in at a
// [link.Link] that relays to another such port. It lets no connection through before every member's server exists,
// because a member that starts for the first time asks its peers for the cluster and waits a second for each that
// listens and does not answer yet (etcdserver/bootstrap.go, isMemberBootstrapped): three took 2 s to start without the
// gate and take 30 ms with it.
//
// # The end
//
// A member ends in an order in which no step waits for a peer or a client. Without the first step three members took 1
// s to close, without the second or the third 5.4 s; with all of them 6 ms.
//
//  1. Its peers' connections are dropped: embed would give those that are open a second (embed/etcd.go, Close).
//  2. Its gRPC server is stopped: an open watch would hold embed's GracefulStop for the request timeout. embed hands
//     the server out through Config.ServiceRegister.
//  3. Its etcd server is stopped hard: a leader would hand over to a peer that is ending, too.
//
// # The first leader
//
// A new cluster does not wait for an election timeout. Start steps raft's MsgTimeoutNow into m1, which is what a leader
// sends to the member it hands leadership to (raft.go, stepFollower): m1 campaigns at once and, all members being
// equally new, wins. Later elections are raft's own.
package etcd
