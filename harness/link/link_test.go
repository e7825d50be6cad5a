package link_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/link"
)

func TestRelaysBothWays(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			l := listen(t, serve(t, network, echo))
			require.Equal(t, "hello", say(t, dial(t, l), "hello"))
			require.Equal(t, link.Stats{Accepted: 1}, l.Stats())
		})
	}
}

func TestEndOfStreamPassesOnByHalves(t *testing.T) {
	t.Parallel()
	words := bytes.Repeat([]byte("0123456789abcdef"), 64<<10) // 1 MiB: many chunks and full socket buffers
	l := listen(t, serve(t, "tcp", func(conn net.Conn) {
		heard, _ := io.ReadAll(conn) // ends only if the FIN came through
		_, _ = conn.Write(heard)
	}))
	conn := dial(t, l)
	_, err := conn.Write(words)
	require.NoError(t, err)
	require.NoError(t, conn.CloseWrite())
	heard, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.True(t, bytes.Equal(words, heard),
		"a stream through a link came back changed: %d bytes of %d", len(heard), len(words))
	until(t, "a connection that ended is forgotten", func() bool { return len(l.Conns()) == 0 })
	require.Equal(t, link.Stats{Accepted: 1}, l.Stats())
}

func TestResetPassesOn(t *testing.T) {
	t.Parallel()
	t.Run("up", func(t *testing.T) {
		t.Parallel()
		heard := make(chan error, 1)
		l := listen(t, serve(t, "tcp", func(conn net.Conn) {
			_, err := io.Copy(conn, conn)
			heard <- err
		}))
		conn := dial(t, l)
		say(t, conn, "hello")
		require.NoError(t, conn.SetLinger(0))
		require.NoError(t, conn.Close())
		require.ErrorIs(t, <-heard, syscall.ECONNRESET)
	})
	t.Run("down", func(t *testing.T) {
		t.Parallel()
		l := listen(t, serve(t, "tcp", func(conn net.Conn) {
			_, _ = io.ReadFull(conn, make([]byte, 5))
			_ = conn.(*net.TCPConn).SetLinger(0)
		}))
		conn := dial(t, l)
		_, err := io.WriteString(conn, "hello")
		require.NoError(t, err)
		requireReset(t, conn)
	})
}

func TestTargetThatIsNotThere(t *testing.T) {
	t.Parallel()
	errNobody := errors.New("nobody there")
	l := listen(t, func(context.Context) (net.Conn, error) { return nil, errNobody })
	requireRefused(t, l)
	require.Equal(t, link.Stats{Accepted: 1, Unreached: 1, DialErr: errNobody}, l.Stats())
}

func TestToNamesWhoWasNotReached(t *testing.T) {
	t.Parallel()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := gone.Addr().String()
	require.NoError(t, gone.Close())
	_, err = link.To("tcp", address)(t.Context())
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	require.ErrorContains(t, err, "nothing reached at "+address)
}

func TestConnsSayWhoIsWho(t *testing.T) {
	t.Parallel()
	seen := make(chan string, 2)
	l := listen(t, serve(t, "tcp", func(conn net.Conn) {
		seen <- conn.RemoteAddr().String()
		echo(conn)
	}))
	one := dial(t, l)
	say(t, one, "hello")
	two := dial(t, l)
	say(t, two, "hi")

	conns := l.Conns()
	require.Len(t, conns, 2)
	for i, want := range []struct {
		conn  net.Conn
		bytes int64
	}{{one, 5}, {two, 2}} {
		got := conns[i]
		require.Equal(t, i+1, got.ID)
		require.Equal(t, want.conn.LocalAddr().String(), got.From)
		require.Equal(t, <-seen, got.Local, "the target sees a connection come from its Local address")
		until(t, "what was said and heard is counted, a moment after it was delivered", func() bool {
			now := l.Conns()[i]
			return now.Up == want.bytes && now.Down == want.bytes
		})
	}
}

func TestCloseWhileDialling(t *testing.T) {
	t.Parallel()
	dialling := make(chan struct{})
	l := listen(t, func(ctx context.Context) (net.Conn, error) {
		close(dialling)
		<-ctx.Done()
		return nil, ctx.Err()
	})
	conn := dial(t, l)
	<-dialling
	require.NoError(t, l.Close())
	requireReset(t, conn)
	require.NoError(t, l.Close(), "closing twice is allowed")
	_, err := net.Dial("tcp", l.Addr())
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
}
