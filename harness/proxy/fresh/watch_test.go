package fresh_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"ghostroute/harness/history"
	"ghostroute/harness/proxy"
	"ghostroute/harness/proxy/fresh"
)

func init() { fresh.StartWatch = startWatch }

func startWatch(t *testing.T, member string) pb.KVServer {
	p, err := proxy.Start(t.Context(), proxy.Config{Name: "p1", Variant: proxy.Watching(), History: history.New(),
		Upstream: []proxy.Upstream{{Name: "m1", Addr: member}}, Bare: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	conn, err := grpc.NewClient("passthrough:///"+p.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return through{kv: pb.NewKVClient(conn)}
}

// through is a server that is asked through a client.
type through struct {
	kv pb.KVClient
	pb.UnimplementedKVServer
}

func (s through) Range(ctx context.Context, r *pb.RangeRequest) (*pb.RangeResponse, error) {
	return s.kv.Range(ctx, r)
}
