package etcd

import (
	"context"
	"errors"
	"slices"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	rpc "google.golang.org/grpc/status"
)

// GaveUp says whether an RPC failed for want of a leader, or of time: on a busy machine a leader's heartbeats come
// late, the members elect another, and what waits meanwhile is given up. Who asked for neither learns nothing from it.
func GaveUp(err error) bool {
	if raw := (interface{ GRPCStatus() *rpc.Status })(nil); errors.As(err, &raw) { // of a client that is not etcd's own
		err = rpctypes.Error(raw.GRPCStatus().Err())
	}
	return errors.Is(err, context.DeadlineExceeded) || rpc.Code(err) == codes.DeadlineExceeded ||
		slices.ContainsFunc([]error{rpctypes.ErrTimeout, rpctypes.ErrTimeoutDueToLeaderFail,
			rpctypes.ErrTimeoutDueToConnectionLost, rpctypes.ErrNoLeader, rpctypes.ErrLeaderChanged},
			func(why error) bool { return errors.Is(err, why) })
}
