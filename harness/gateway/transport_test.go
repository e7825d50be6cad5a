package gateway

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAGatewayThatEndsLeavesTheOthersConnections has two gateways' transports at one instance: what the one closes is
// its own.
func TestAGatewayThatEndsLeavesTheOthersConnections(t *testing.T) {
	instance := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {}))
	defer instance.Close()
	one, other := shipped.Clone(), shipped.Clone()
	defer one.CloseIdleConnections()
	reused := func(transport *http.Transport) (again bool) {
		ctx := context.WithValue(t.Context(), exchangeKey{}, &exchange{transport: transport})
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
			GotConn: func(c httptrace.GotConnInfo) { again = c.Reused },
		})
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, instance.URL, nil)
		require.NoError(t, err)
		resp, err := http.DefaultTransport.RoundTrip(r)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return again
	}
	require.False(t, reused(one))
	require.False(t, reused(other), "it dials for itself")
	other.CloseIdleConnections()
	require.True(t, reused(one))
	require.False(t, reused(other))
	other.CloseIdleConnections()
}
