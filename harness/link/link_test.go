package link_test

import (
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"ghostroute/harness/link"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestBothWays(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			l := listen(t, echo(t, network))
			conn := dial(t, l)
			require.Equal(t, "hello", say(t, conn, "hello"))
		})
	}
}

// listen is a link to target that ends with the test.
func listen(t testing.TB, target link.Target) *link.Link {
	t.Helper()
	l, err := link.Listen(t.Name(), target)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l
}

// echo is a server that says what it hears until it hears no more. It ends with the test.
func echo(t testing.TB, network string) link.Target {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(t.TempDir(), "s")
	}
	listener, err := net.Listen(network, address)
	require.NoError(t, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		wg.Wait()
	})
	return link.To(network, listener.Addr().String())
}

// dial is a connection to l that ends with the test, before l does.
func dial(t testing.TB, l *link.Link) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", l.Addr())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn.(*net.TCPConn)
}

// say writes words and reads as many bytes.
func say(t testing.TB, conn net.Conn, words string) string {
	t.Helper()
	_, err := io.WriteString(conn, words)
	require.NoError(t, err)
	return hear(t, conn, len(words))
}

// hear reads n bytes.
func hear(t testing.TB, conn net.Conn, n int) string {
	t.Helper()
	heard := make([]byte, n)
	_, err := io.ReadFull(conn, heard)
	require.NoError(t, err)
	return string(heard)
}

var errNobody = errors.New("nobody there")

func nobody(context.Context) (net.Conn, error) { return nil, errNobody }
