package link_test

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/link"
)

func TestCutUntilMend(t *testing.T) {
	t.Parallel()
	l := listen(t, serve(t, "tcp", echo))
	one, two := dial(t, l), dial(t, l)
	say(t, one, "hello")
	say(t, two, "hello")

	require.NoError(t, l.Cut())
	require.Empty(t, l.Conns(), "when Cut returns nothing is established")
	requireReset(t, one)
	requireReset(t, two)
	requireRefused(t, l)
	require.Equal(t, link.Stats{Accepted: 3, Refused: 1, Reset: 2}, l.Stats())

	l.Mend()
	require.Equal(t, "hello", say(t, dial(t, l), "hello"))
}

func TestCutWhileDialling(t *testing.T) {
	t.Parallel()
	dialling, carryOn := make(chan struct{}), make(chan struct{})
	target := serve(t, "tcp", func(conn net.Conn) {
		_, err := conn.Read(make([]byte, 1))
		require.Error(t, err, "something came through a link that was cut")
	})
	l := listen(t, func(ctx context.Context) (net.Conn, error) {
		close(dialling)
		<-carryOn
		return target(ctx)
	})
	conn := dial(t, l)
	<-dialling
	require.NoError(t, l.Cut())
	requireReset(t, conn)
	close(carryOn)
}

func TestCutOfAClosedLink(t *testing.T) {
	t.Parallel()
	l := listen(t, serve(t, "tcp", echo))
	require.NoError(t, l.Close())
	require.ErrorContains(t, l.Cut(), "link TestCutOfAClosedLink on "+l.Addr()+" cannot be cut: it is closed")
}

func TestBlackhole(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		holes   []link.Direction
		arrives bool // what the client says, at the target
	}{
		{[]link.Direction{link.Up}, false},
		{[]link.Direction{link.Down}, true},
		{[]link.Direction{link.Both}, false},
		{[]link.Direction{link.Down, link.Up}, false}, // holes add up
	} {
		name := ""
		for _, hole := range tt.holes {
			name += hole.String()
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			heard := make(chan string, 2)
			l := listen(t, serve(t, "tcp", func(conn net.Conn) {
				words := make([]byte, 5)
				for {
					if _, err := io.ReadFull(conn, words); err != nil {
						return
					}
					heard <- string(words)
					_, _ = conn.Write(words)
				}
			}))
			idle, busy := dial(t, l), dial(t, l)
			for _, conn := range []net.Conn{idle, busy} {
				say(t, conn, "hello")
				<-heard
			}

			for _, hole := range tt.holes {
				l.Blackhole(hole)
			}
			_, err := io.WriteString(busy, "ghost")
			require.NoError(t, err, "a black hole closes nothing")
			until(t, "the hole ate it", func() bool { return l.Stats().Swallowed == 5 })
			require.Len(t, l.Conns(), 2, "a black hole closes nothing")
			if tt.arrives {
				require.Equal(t, "ghost", <-heard)
			}
			require.Empty(t, heard)

			l.Mend()
			requireReset(t, busy) // and heard no answer before
			require.Equal(t, "again", say(t, idle, "again"), "a connection that lost nothing lives on")
			require.Equal(t, "fresh", say(t, dial(t, l), "fresh"))
			require.Equal(t, 1, l.Stats().Reset)
		})
	}
}

func TestBlackholeTakesNewConnections(t *testing.T) {
	t.Parallel()
	for _, hole := range []link.Direction{link.Up, link.Down, link.Both} {
		t.Run(hole.String(), func(t *testing.T) {
			t.Parallel()
			l := listen(t, func(context.Context) (net.Conn, error) {
				t.Error("a handshake came through a black hole")
				return nil, io.EOF
			})
			l.Blackhole(hole)
			conn := dial(t, l)
			_, err := io.WriteString(conn, "hello")
			require.NoError(t, err)
			until(t, "the hole ate it", func() bool { return l.Stats().Swallowed == 5 })
			require.Equal(t, conn.LocalAddr().String(), l.Conns()[0].From)
			require.Empty(t, l.Conns()[0].Local)
			l.Mend()
			requireReset(t, conn)
		})
	}
}

func TestDropOneOrAll(t *testing.T) {
	t.Parallel()
	l := listen(t, serve(t, "tcp", echo))
	conns := []*net.TCPConn{dial(t, l), dial(t, l), dial(t, l)}
	for _, conn := range conns {
		say(t, conn, "hello")
	}
	second := conns[1].LocalAddr().String()
	require.Equal(t, 1, l.DropIf(func(c link.Conn) bool { return c.From == second }))
	requireReset(t, conns[1])
	require.Equal(t, "still", say(t, conns[0], "still"))
	require.Equal(t, 2, l.Drop())
	requireReset(t, conns[0])
	requireReset(t, conns[2])
	require.Zero(t, l.Drop())
	require.Equal(t, "hello", say(t, dial(t, l), "hello"), "Drop refuses nobody")
}

// TestNoStreamHasAHole is the promise that lets HTTP/2 run over a link: whatever faults come and go, what arrives of a
// connection is a beginning of what was sent.
func TestNoStreamHasAHole(t *testing.T) {
	t.Parallel()
	l := listen(t, serve(t, "tcp", func(conn net.Conn) {
		buf, next := make([]byte, 512), byte(0)
		for {
			n, err := conn.Read(buf)
			for _, b := range buf[:n] {
				if b != next {
					t.Errorf("a stream went on with bytes missing: %d came where %d was due", b, next)
					return
				}
				next = (next + 1) % period
			}
			if err != nil {
				return
			}
		}
	}))
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for range 2 {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					count(l.Addr())
				}
			}
		})
	}
	for i := range 40 {
		was := l.Stats()
		switch i % 4 {
		case 0:
			l.Blackhole(link.Up)
			until(t, "the hole eats", func() bool { return l.Stats().Swallowed > was.Swallowed })
		case 1:
			l.SetDelay(time.Microsecond)
			until(t, "clients connect", func() bool { return l.Stats().Accepted > was.Accepted })
		case 2:
			require.NoError(t, l.Cut())
			until(t, "the cut refuses", func() bool { return l.Stats().Refused > was.Refused })
		case 3:
			until(t, "something passes", func() bool {
				conns := l.Conns()
				return len(conns) > 0 && conns[0].Up > 0
			})
			continue
		}
		l.Mend()
	}
	close(stop)
	require.NoError(t, l.Cut())
	clients.Wait()
}

// period is how many different bytes count sends: a prime, so that no missing chunk of a round size looks right.
const period = 251

// count sends 0, 1, 2 … over one connection, beginning again after each period, until it has sent 1 MiB or fails.
func count(address string) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer conn.Close()
	buf := make([]byte, period)
	for i := range buf {
		buf[i] = byte(i)
	}
	for range 4 << 10 {
		if _, err := conn.Write(buf); err != nil {
			return
		}
	}
}
