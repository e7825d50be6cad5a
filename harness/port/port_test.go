package port_test

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/port"
)

func TestAReservedPortIsRefusedUntilListenedOnAndAgainAfterwards(t *testing.T) {
	t.Parallel()
	p, err := port.Reserve()
	require.NoError(t, err)
	defer p.Close()

	for range 3 {
		_, err = net.Dial("tcp", p.Addr())
		require.ErrorContains(t, err, "connection refused")

		l, err := p.Listen()
		require.NoError(t, err)
		require.Equal(t, p.Addr(), l.Addr().String())
		c, err := net.Dial("tcp", p.Addr())
		require.NoError(t, err)
		require.NoError(t, c.Close())
		require.NoError(t, l.Close())
	}
}

func TestNobodyElseIsGivenAReservedPort(t *testing.T) {
	t.Parallel()
	p, err := port.Reserve()
	require.NoError(t, err)
	defer p.Close()
	_, err = net.Listen("tcp", p.Addr())
	require.ErrorContains(t, err, "address already in use")

	require.NoError(t, p.Close())
	require.NoError(t, p.Close(), "a second Close does nothing")
	l, err := net.Listen("tcp", p.Addr())
	require.NoError(t, err, "a closed reservation gives the port back")
	require.NoError(t, l.Close())
}

// Another process listens on a port that was reserved for it, without an option of its own; nobody else can meanwhile,
// and it is refused again when that process has ended.
func TestAProcessListensOnAPortReservedForIt(t *testing.T) {
	t.Parallel()
	p, err := port.ReserveForProcess()
	require.NoError(t, err)
	defer p.Close()
	for range 3 {
		_, err = net.Dial("tcp", p.Addr())
		require.ErrorContains(t, err, "connection refused")
		l, err := net.Listen("tcp", p.Addr()) // as etcd does
		require.NoError(t, err)
		_, err = net.Listen("tcp", p.Addr())
		require.ErrorContains(t, err, "address already in use")
		c, err := net.Dial("tcp", p.Addr())
		require.NoError(t, err)
		require.NoError(t, c.Close())
		require.NoError(t, l.Close())
	}
}

// A child that is not a program of its own yet has a listener that its parent has closed.
func TestAPortRefusesWhenNobodyHasItsListener(t *testing.T) {
	t.Parallel()
	p, err := port.Reserve()
	require.NoError(t, err)
	defer p.Close()
	l, err := p.Listen()
	require.NoError(t, err)
	childs, err := l.(*net.TCPListener).File()
	require.NoError(t, err)
	require.NoError(t, l.Close())
	require.EqualError(t, p.Refuses(), "another process still serves at "+p.Addr())
	time.AfterFunc(20*time.Millisecond, func() { childs.Close() })
	require.NoError(t, p.Refuses())
	_, err = net.Dial("tcp", p.Addr())
	require.ErrorContains(t, err, "connection refused")
}
