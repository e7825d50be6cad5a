package link_test

import (
	"io"
	"net"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"ghostroute/harness/link"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen.
const patience = 10 * time.Second

// listen is a link to target that ends with the test.
func listen(t testing.TB, target link.Target) *link.Link {
	t.Helper()
	l, err := link.Listen(t.Name(), target)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l
}

// serve has each connection handled and then closed. It ends with the test.
func serve(t testing.TB, network string, handle func(net.Conn)) link.Target {
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
				handle(conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		wg.Wait()
	})
	return link.To(network, listener.Addr().String())
}

// echo says what it hears until it hears no more.
func echo(conn net.Conn) { _, _ = io.Copy(conn, conn) }

// dial is a connection to l that ends with the test, before l does, and on which nothing waits for ever.
func dial(t testing.TB, l *link.Link) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", l.Addr())
	require.NoError(t, err)
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	t.Cleanup(func() { _ = conn.Close() })
	return conn.(*net.TCPConn)
}

// say writes words and hears as many bytes.
func say(t testing.TB, conn net.Conn, words string) string {
	t.Helper()
	_, err := io.WriteString(conn, words)
	require.NoError(t, err)
	heard := make([]byte, len(words))
	_, err = io.ReadFull(conn, heard)
	require.NoError(t, err)
	return string(heard)
}

// requireReset holds when conn ends by RST, rather than by FIN or not at all.
func requireReset(t testing.TB, conn net.Conn) {
	t.Helper()
	_, err := conn.Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNRESET)
}

// requireRefused holds when a new connection to l is closed at once. The RST may come while the dial still waits to be
// woken.
func requireRefused(t testing.TB, l *link.Link) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", l.Addr(), patience)
	if err != nil {
		require.ErrorIs(t, err, syscall.ECONNRESET)
		return
	}
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	requireReset(t, conn)
}

// until waits for a condition.
func until(t testing.TB, promise string, holds func() bool) {
	t.Helper()
	require.Eventually(t, holds, patience, time.Millisecond, promise)
}
