package link

import (
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// piped runs test on a clock of its own (so that its sleeps take no time and are exact), with a link between two pipes:
// client is who dialled, server the target.
func piped(t *testing.T, test func(t *testing.T, l *Link, client, server net.Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := newLink(t.Name(), nil)
		client, in := net.Pipe()
		out, server := net.Pipe()
		p := l.admit(in)
		l.wg.Go(func() { p.relay(out) })
		test(t, l, client, server)
		_ = client.Close()
		_ = server.Close()
		l.wg.Wait()
	})
}

// read is what the next read gives and how long after began it came.
func read(t *testing.T, conn net.Conn, began time.Time) (string, time.Duration) {
	t.Helper()
	buf := make([]byte, 64)
	n, err := conn.Read(buf)
	require.NoError(t, err)
	return string(buf[:n]), time.Since(began)
}

func write(t *testing.T, conn net.Conn, words string) {
	t.Helper()
	_, err := io.WriteString(conn, words)
	require.NoError(t, err)
}

func TestDelayIsExactInOrderAndUnlimited(t *testing.T) {
	piped(t, func(t *testing.T, l *Link, client, server net.Conn) {
		l.SetDelay(time.Second)
		began := time.Now()
		write(t, client, "one")
		time.Sleep(400 * time.Millisecond) // the bubble's clock, which is what is tested: no real time passes
		write(t, client, "two")
		write(t, server, "back")

		words, after := read(t, server, began)
		require.Equal(t, "one", words)
		require.Equal(t, time.Second, after)
		words, after = read(t, server, began)
		require.Equal(t, "two", words)
		require.Equal(t, 1400*time.Millisecond, after, "one chunk's delay does not hold up the next")
		words, after = read(t, client, began)
		require.Equal(t, "back", words)
		require.Equal(t, 1400*time.Millisecond, after)
	})
}

func TestDelayThatChangesOnTheWay(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Link)
		after  time.Duration
	}{
		{"longer", func(l *Link) { l.SetDelay(3 * time.Second) }, 3 * time.Second},
		{"shorter", func(l *Link) { l.SetDelay(700 * time.Millisecond) }, 700 * time.Millisecond},
		{"shorter than it has waited", func(l *Link) { l.SetDelay(100 * time.Millisecond) }, 500 * time.Millisecond},
		{"mended", (*Link).Mend, 500 * time.Millisecond},
		{"negative", func(l *Link) { l.SetDelay(-1) }, 500 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			piped(t, func(t *testing.T, l *Link, client, server net.Conn) {
				l.SetDelay(time.Second)
				began := time.Now()
				write(t, client, "hello")
				time.Sleep(500 * time.Millisecond) // the bubble's clock, which is what is tested: no real time passes
				tt.change(l)
				words, after := read(t, server, began)
				require.Equal(t, "hello", words)
				require.Equal(t, tt.after, after)
			})
		})
	}
}

func TestDelayKeepsOrderWhenItEnds(t *testing.T) {
	piped(t, func(t *testing.T, l *Link, client, server net.Conn) {
		l.SetDelay(time.Second)
		write(t, client, "late")
		synctest.Wait() // until the lane has taken it
		l.Mend()
		write(t, client, "now")
		words, _ := read(t, server, time.Now())
		require.Equal(t, "late", words)
		words, _ = read(t, server, time.Now())
		require.Equal(t, "now", words)
	})
}

func TestDelayOfTheEnd(t *testing.T) {
	piped(t, func(t *testing.T, l *Link, client, server net.Conn) {
		l.SetDelay(time.Second)
		began := time.Now()
		require.NoError(t, client.Close())
		_, err := server.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF)
		require.Equal(t, time.Second, time.Since(began))
	})
}

func TestHoleEatsWhatIsDelayed(t *testing.T) {
	piped(t, func(t *testing.T, l *Link, client, server net.Conn) {
		l.SetDelay(time.Second)
		write(t, client, "ghost")
		time.Sleep(500 * time.Millisecond) // the bubble's clock, which is what is tested: no real time passes
		l.Blackhole(Up)
		time.Sleep(time.Second) // the bubble's clock, which is what is tested: no real time passes
		synctest.Wait()
		require.Equal(t, int64(5), l.Stats().Swallowed)
		l.Mend()
		_, err := server.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF, "a pipe has no RST: reset closes it")
		require.Equal(t, 1, l.Stats().Reset)
	})
}

func TestHoleEatsTheEnd(t *testing.T) {
	for _, hole := range []Direction{Up, Both} {
		t.Run(hole.String(), func(t *testing.T) {
			piped(t, func(t *testing.T, l *Link, client, server net.Conn) {
				l.Blackhole(hole)
				heard := make(chan error, 1)
				go func() {
					_, err := server.Read(make([]byte, 1))
					heard <- err
				}()
				require.NoError(t, client.Close())
				synctest.Wait()
				require.Empty(t, heard, "an end came through a black hole")
				require.Len(t, l.Conns(), 1, "a black hole closes nothing")
				require.Equal(t, 1, l.Drop())
				require.ErrorIs(t, <-heard, io.EOF)
			})
		})
	}
}

func TestHoleClosesNothingWhereBothEnd(t *testing.T) {
	piped(t, func(t *testing.T, l *Link, client, server net.Conn) {
		l.Blackhole(Both)
		require.NoError(t, client.Close())
		require.NoError(t, server.Close())
		synctest.Wait()
		require.Len(t, l.Conns(), 1)
		l.Mend()
		require.Empty(t, l.Conns())
	})
}

// TestHoleMendedWhileItEats is the race that eaten closes: a lane looked at the faults, then the hole was mended, then
// the lane threw its bytes away.
func TestHoleMendedWhileItEats(t *testing.T) {
	piped(t, func(t *testing.T, l *Link, _, server net.Conn) {
		l.Blackhole(Up)
		looked := l.pairs[1]
		l.Mend()
		require.Len(t, l.Conns(), 1, "nothing was lost so far")
		looked.eaten(1)
		_, err := server.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF, "a stream went on with a byte missing")
	})
}

func TestDropDoesNotWaitForWhatIsDelayed(t *testing.T) {
	piped(t, func(t *testing.T, l *Link, client, _ net.Conn) {
		l.SetDelay(time.Hour)
		began := time.Now()
		write(t, client, "ghost")
		synctest.Wait()
		require.Equal(t, 1, l.Drop())
		l.wg.Wait()
		require.Zero(t, time.Since(began))
	})
}
