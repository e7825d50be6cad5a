package etcd

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	rpc "google.golang.org/grpc/status"
)

func TestWhatEtcdGaveUp(t *testing.T) {
	t.Parallel()
	for _, err := range []error{
		rpctypes.ErrTimeout, rpctypes.ErrLeaderChanged, rpctypes.Error(rpctypes.ErrGRPCNoLeader),
		rpctypes.ErrGRPCLeaderChanged,
		context.DeadlineExceeded, rpc.Error(codes.DeadlineExceeded, "a client's own"),
	} {
		require.True(t, GaveUp(err), err)
		require.True(t, GaveUp(errors.Join(nil, fmt.Errorf("p1 was not scrubbed: %w", err))), err)
	}
	for _, err := range []error{
		nil, rpctypes.ErrCompacted, rpctypes.ErrGRPCCompacted, context.Canceled, errors.New("etcdserver: request timed out"),
	} {
		require.False(t, GaveUp(err), err)
	}
}
