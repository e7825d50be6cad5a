package guard_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3election/v3electionpb"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3lock/v3lockpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"ghostroute/harness/guard"
)

const (
	own    = "/r/mine-" // the prefix that is the run's
	next   = "/r/mine." // the first key after all that begin with it
	mine   = 7          // the lease that the server grants
	theirs = 8
)

// call is one request of one method. Refused is what its error says; "" is one that is let pass.
type call struct {
	what, refused string
	do            func(context.Context, *grpc.ClientConn) error
}

// one makes a call of a method of one answer.
func one[Req, Res any](what, refused string, method string, r *Req) call {
	return call{what, refused, func(ctx context.Context, c *grpc.ClientConn) error {
		return c.Invoke(ctx, method, r, new(Res))
	}}
}

func read(what, refused, key, end string) call {
	return one[pb.RangeRequest, pb.RangeResponse](what, refused, pb.KV_Range_FullMethodName,
		&pb.RangeRequest{Key: []byte(key), RangeEnd: []byte(end)})
}

func put(what, refused string, r *pb.PutRequest) call {
	return one[pb.PutRequest, pb.PutResponse](what, refused, pb.KV_Put_FullMethodName, r)
}

func deletes(what, refused, key, end string) call {
	return one[pb.DeleteRangeRequest, pb.DeleteRangeResponse](what, refused, pb.KV_DeleteRange_FullMethodName,
		&pb.DeleteRangeRequest{Key: []byte(key), RangeEnd: []byte(end)})
}

func txn(what, refused string, r *pb.TxnRequest) call {
	return one[pb.TxnRequest, pb.TxnResponse](what, refused, pb.KV_Txn_FullMethodName, r)
}

func opRange(key, end string) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestRange{
		RequestRange: &pb.RangeRequest{Key: []byte(key), RangeEnd: []byte(end)}}}
}

func opPut(r *pb.PutRequest) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: r}}
}

func opDelete(key, end string) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{
		RequestDeleteRange: &pb.DeleteRangeRequest{Key: []byte(key), RangeEnd: []byte(end)}}}
}

func opTxn(r *pb.TxnRequest) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestTxn{RequestTxn: r}}
}

// keys and values of a request.
var (
	k     = []byte(own + "a")
	other = []byte("/a")
)

const (
	aKey  = `the key "/a" is not to be `
	whole = "it is about the whole cluster, which is not the harness's own"
	lease = "the lease 8 was granted to somebody else"
)

// TestOneRequestIsLetPassOrRefused has each form of request that has one answer.
func TestOneRequestIsLetPassOrRefused(t *testing.T) {
	t.Parallel()
	for _, c := range slices.Concat(reads(), writes(), txns(), leases(), clusters()) {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			_, conn, s := guarded(t)
			err := c.do(t.Context(), conn)
			if c.refused == "" {
				require.NoError(t, err)
				require.Len(t, s.took(), 1)
				return
			}
			require.Equal(t, codes.PermissionDenied, status.Code(err), "%v", err)
			require.ErrorContains(t, err, " was not sent: ")
			require.ErrorContains(t, err, c.refused)
			require.Empty(t, s.took(), "what is refused is not sent")
		})
	}
}

func reads() []call {
	return []call{
		read("a read of a key", "", own+"a", ""),
		read("a read of the prefix", "", own, next),
		read("a read of some of it", "", own+"a", own+"c"),
		read("a read of no key, by which a member is told from a proxy", "", "", ""),
		read("a read of another's key", aKey+"read, for it is not all under "+own, "/a", ""),
		read("a read of the prefix but its last byte", "is not to be read", own[:len(own)-1], ""),
		read("a read that begins before", `the range from "/r/" to "`+next+`" is not to be read`, "/r/", next),
		read("a read that ends after", "is not to be read", own, next+"\x00"),
		read("a read from a key on", "is not to be read", own+"a", "\x00"),
		read("a read of everything", "is not to be read", "\x00", "\x00"),
	}
}

func writes() []call {
	return []call{
		put("a put", "", &pb.PutRequest{Key: k}),
		put("a put with a lease", "", &pb.PutRequest{Key: k, Lease: mine}),
		put("a put of another's key", aKey+"written", &pb.PutRequest{Key: other}),
		put("a put of no key", "is not to be written", &pb.PutRequest{}),
		put("a put with another's lease", lease, &pb.PutRequest{Key: k, Lease: theirs}),
		put("a put of another's key with a lease", aKey+"written", &pb.PutRequest{Key: other, Lease: mine}),
		deletes("a delete of a key", "", own+"a", ""),
		deletes("a delete of the prefix", "", own, next),
		deletes("a delete of another's key", aKey+"deleted", "/a", ""),
		deletes("a delete of no key", "is not to be deleted", "", ""),
		deletes("a delete that ends after", "is not to be deleted", own, next+"\x00"),
		deletes("a delete from a key on", "is not to be deleted", own, "\x00"),
	}
}

func txns() []call {
	success := func(ops ...*pb.RequestOp) *pb.TxnRequest { return &pb.TxnRequest{Success: ops} }
	compare := func(key, end string) *pb.TxnRequest {
		return &pb.TxnRequest{Compare: []*pb.Compare{{Key: []byte(key), RangeEnd: []byte(end)}}}
	}
	good := []*pb.RequestOp{opRange(own, next), opPut(&pb.PutRequest{Key: k, Lease: mine}), opDelete(own+"a", "")}
	return []call{
		txn("a txn of nothing", "", &pb.TxnRequest{}),
		txn("a txn of its own", "", &pb.TxnRequest{Compare: compare(own, next).Compare, Success: good, Failure: good}),
		txn("a txn in a txn", "", success(opTxn(&pb.TxnRequest{Success: good}))),
		txn("a comparison alone", aKey+"compared", compare("/a", "")),
		txn("a comparison of a range", "is not to be compared", compare(own, "\x00")),
		txn("a second comparison", aKey+"compared", &pb.TxnRequest{Compare: append(compare(own, "").Compare,
			compare("/a", "").Compare...)}),
		txn("a txn's read", aKey+"read", success(opRange("/a", ""))),
		txn("a txn's put", aKey+"written", success(opPut(&pb.PutRequest{Key: other}))),
		txn("a txn's put with another's lease", lease, success(opPut(&pb.PutRequest{Key: k, Lease: theirs}))),
		txn("a txn's delete", aKey+"deleted", success(opDelete("/a", ""))),
		txn("a txn's second operation", aKey+"deleted", success(opRange(own, next), opDelete("/a", ""))),
		txn("a txn's else", aKey+"written", &pb.TxnRequest{Success: good,
			Failure: []*pb.RequestOp{opPut(&pb.PutRequest{Key: other})}}),
		txn("a txn in a txn of another's", aKey+"written", success(opTxn(success(opPut(&pb.PutRequest{Key: other}))))),
		txn("a comparison of a txn in a txn", aKey+"compared", success(opTxn(compare("/a", "")))),
		txn("an operation that is none", whole, success(&pb.RequestOp{})),
	}
}

func leases() []call {
	return []call{
		one[pb.LeaseGrantRequest, pb.LeaseGrantResponse]("a grant", "", pb.Lease_LeaseGrant_FullMethodName,
			&pb.LeaseGrantRequest{TTL: 60}),
		one[pb.LeaseRevokeRequest, pb.LeaseRevokeResponse]("a revoke", "", pb.Lease_LeaseRevoke_FullMethodName,
			&pb.LeaseRevokeRequest{ID: mine}),
		one[pb.LeaseRevokeRequest, pb.LeaseRevokeResponse]("a revoke of another's", lease,
			pb.Lease_LeaseRevoke_FullMethodName, &pb.LeaseRevokeRequest{ID: theirs}),
		one[pb.LeaseTimeToLiveRequest, pb.LeaseTimeToLiveResponse]("a lease's time", "",
			pb.Lease_LeaseTimeToLive_FullMethodName, &pb.LeaseTimeToLiveRequest{ID: mine, Keys: true}),
		one[pb.LeaseTimeToLiveRequest, pb.LeaseTimeToLiveResponse]("another's lease's keys", lease,
			pb.Lease_LeaseTimeToLive_FullMethodName, &pb.LeaseTimeToLiveRequest{ID: theirs, Keys: true}),
		one[pb.LeaseLeasesRequest, pb.LeaseLeasesResponse]("a list of leases", whole,
			pb.Lease_LeaseLeases_FullMethodName, &pb.LeaseLeasesRequest{}),
	}
}

// clusters are what asks where a member stands, and what is about the whole cluster.
func clusters() []call {
	return []call{
		one[pb.StatusRequest, pb.StatusResponse]("a status", "", pb.Maintenance_Status_FullMethodName,
			&pb.StatusRequest{}),
		one[pb.MemberListRequest, pb.MemberListResponse]("a list of members", "", pb.Cluster_MemberList_FullMethodName,
			&pb.MemberListRequest{}),
		one[pb.AuthenticateRequest, pb.AuthenticateResponse]("a log-in", "", pb.Auth_Authenticate_FullMethodName,
			&pb.AuthenticateRequest{Name: "u"}),
		one[pb.CompactionRequest, pb.CompactionResponse]("a compaction", whole, pb.KV_Compact_FullMethodName,
			&pb.CompactionRequest{Revision: 2}),
		one[pb.MemberRemoveRequest, pb.MemberRemoveResponse]("a member's end", whole,
			pb.Cluster_MemberRemove_FullMethodName, &pb.MemberRemoveRequest{ID: 1}),
		one[pb.AlarmRequest, pb.AlarmResponse]("an alarm", whole, pb.Maintenance_Alarm_FullMethodName, &pb.AlarmRequest{}),
		one[pb.DefragmentRequest, pb.DefragmentResponse]("a defragmenting", whole,
			pb.Maintenance_Defragment_FullMethodName, &pb.DefragmentRequest{}),
		one[pb.HashKVRequest, pb.HashKVResponse]("a hash", whole, pb.Maintenance_HashKV_FullMethodName,
			&pb.HashKVRequest{}),
		one[pb.MoveLeaderRequest, pb.MoveLeaderResponse]("another leader", whole,
			pb.Maintenance_MoveLeader_FullMethodName, &pb.MoveLeaderRequest{TargetID: 1}),
		one[pb.DowngradeRequest, pb.DowngradeResponse]("a downgrade", whole, pb.Maintenance_Downgrade_FullMethodName,
			&pb.DowngradeRequest{}),
		one[pb.AuthEnableRequest, pb.AuthEnableResponse]("authentication", whole, pb.Auth_AuthEnable_FullMethodName,
			&pb.AuthEnableRequest{}),
		one[pb.AuthUserAddRequest, pb.AuthUserAddResponse]("a user", whole, pb.Auth_UserAdd_FullMethodName,
			&pb.AuthUserAddRequest{Name: "u"}),
		one[v3lockpb.LockRequest, v3lockpb.LockResponse]("a lock", whole, "/v3lockpb.Lock/Lock",
			&v3lockpb.LockRequest{Name: other}),
		{"a snapshot", whole, func(ctx context.Context, c *grpc.ClientConn) error {
			_, err := pb.NewMaintenanceClient(c).Snapshot(ctx, &pb.SnapshotRequest{})
			return err
		}},
		{"an election that is observed", whole, func(ctx context.Context, c *grpc.ClientConn) error {
			_, err := v3electionpb.NewElectionClient(c).Observe(ctx, &v3electionpb.LeaderRequest{Name: other})
			return err
		}},
	}
}

// TestAWatchIsLetPassOrRefused sends each request on a stream of its own. One that is refused ends its stream, whose
// reader is told why: etcd's watcher takes no notice of what sending says.
func TestAWatchIsLetPassOrRefused(t *testing.T) {
	t.Parallel()
	create := func(key, end string) *pb.WatchRequest {
		return &pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{
			CreateRequest: &pb.WatchCreateRequest{Key: []byte(key), RangeEnd: []byte(end)}}}
	}
	for _, w := range []struct {
		what, refused string
		r             *pb.WatchRequest
	}{
		{"a key", "", create(own+"a", "")},
		{"the prefix", "", create(own, next)},
		{"an end", "", &pb.WatchRequest{RequestUnion: &pb.WatchRequest_CancelRequest{
			CancelRequest: &pb.WatchCancelRequest{WatchId: 1}}}},
		{"a question how far it is", "", &pb.WatchRequest{RequestUnion: &pb.WatchRequest_ProgressRequest{
			ProgressRequest: &pb.WatchProgressRequest{}}}},
		{"another's key", aKey + "watched", create("/a", "")},
		{"no key", "is not to be watched", create("", "")},
		{"from a key on", "is not to be watched", create(own, "\x00")},
		{"all of the registry", "is not to be watched", create("/r/", "/r0")},
	} {
		t.Run(w.what, func(t *testing.T) {
			t.Parallel()
			_, c, s := guarded(t)
			stream, err := pb.NewWatchClient(c).Watch(t.Context())
			require.NoError(t, err)
			said(t, w.refused, stream.Send(w.r), func() error { _, err := stream.Recv(); return err }, s)
		})
	}
}

func TestAKeepAliveIsLetPassOrRefused(t *testing.T) {
	t.Parallel()
	for id, refused := range map[int64]string{mine: "", theirs: lease} {
		_, c, s := guarded(t)
		stream, err := pb.NewLeaseClient(c).LeaseKeepAlive(t.Context())
		require.NoError(t, err)
		sent := stream.Send(&pb.LeaseKeepAliveRequest{ID: id})
		said(t, refused, sent, func() error { _, err := stream.Recv(); return err }, s)
	}
}

// said looks at what came of a request on a stream.
func said(t *testing.T, refused string, sent error, recv func() error, s *server) {
	t.Helper()
	if refused == "" {
		require.NoError(t, sent)
		require.NoError(t, recv())
		require.Len(t, s.took(), 1)
		return
	}
	require.ErrorContains(t, sent, refused)
	require.ErrorContains(t, recv(), refused)
	require.Empty(t, s.took(), "what is refused is not sent")
}

// A stream that had answers is ended by a request that is refused, too.
func TestARequestThatIsRefusedEndsAStreamThatWas(t *testing.T) {
	t.Parallel()
	_, c, s := guarded(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	stream, err := pb.NewLeaseClient(c).LeaseKeepAlive(ctx)
	require.NoError(t, err)
	said(t, "", stream.Send(&pb.LeaseKeepAliveRequest{ID: mine}), func() error { _, err := stream.Recv(); return err }, s)
	said(t, lease, stream.Send(&pb.LeaseKeepAliveRequest{ID: theirs}),
		func() error { _, err := stream.Recv(); return err }, s)
	require.NoError(t, ctx.Err(), "it was not the test's time that ended it")
}

// The leases of a run are those that it was granted: to clean up after, whatever became of them.
func TestLeasesAreThoseThatWereGranted(t *testing.T) {
	t.Parallel()
	g, c, _ := guarded(t)
	require.Equal(t, own, g.Prefix())
	require.Equal(t, []int64{mine}, g.Leases())
	_, err := pb.NewLeaseClient(c).LeaseRevoke(t.Context(), &pb.LeaseRevokeRequest{ID: mine})
	require.NoError(t, err)
	require.Equal(t, []int64{mine}, g.Leases())
	require.Empty(t, guard.New(own).Leases(), "another guard has none")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = pb.NewLeaseClient(c).LeaseGrant(ctx, &pb.LeaseGrantRequest{TTL: 60})
	require.Error(t, err)
	require.Equal(t, []int64{mine}, g.Leases(), "a grant that failed is none")
}
