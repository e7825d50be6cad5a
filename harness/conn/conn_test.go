package conn_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"ghostroute/harness/conn"
)

// A connection that was refused is dialled again at once: with gRPC's own back-off this test would take a second a
// round.
func TestReadyDialsAgainAtOnce(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	s := grpc.NewServer()
	go s.Serve(l)
	c, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	require.NoError(t, conn.Ready(ctx, c))
	s.Stop()
	require.NoError(t, conn.Lost(ctx, c))

	short, stop := context.WithTimeout(ctx, 50*time.Millisecond)
	defer stop()
	require.ErrorContains(t, conn.Ready(short, c), addr, "an error says which connection")

	l, err = net.Listen("tcp", addr)
	require.NoError(t, err)
	s = grpc.NewServer()
	go s.Serve(l)
	defer s.Stop()
	require.NoError(t, conn.Ready(ctx, c))
	require.NoError(t, c.Close())
	require.ErrorContains(t, conn.Ready(ctx, c), "closed")
}
