package balancer_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"ghostroute/harness/balancer"
	"ghostroute/harness/history"
	"ghostroute/harness/port"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen.
const patience = 10 * time.Second

// proxy stands in for a grpc-proxy: it greets each connection with its name and where it sees the connection come from,
// and then says what it hears.
type proxy struct {
	name string
	port *port.Port
	wg   sync.WaitGroup

	mu       sync.Mutex
	listener net.Listener // nil while stopped
}

// proxies starts n of them, "p1" and on, and returns how to end them.
func proxies(t require.TestingT, n int) (started []*proxy, end func()) {
	for i := range n {
		reserved, err := port.Reserve()
		require.NoError(t, err)
		p := &proxy{name: fmt.Sprintf("p%d", i+1), port: reserved}
		p.start(t)
		started = append(started, p)
	}
	return started, func() {
		for _, p := range started {
			p.stop()
			p.wg.Wait()
			p.port.Close()
		}
	}
}

func (p *proxy) start(t require.TestingT) {
	listener, err := p.port.Listen()
	require.NoError(t, err)
	p.mu.Lock()
	p.listener = listener
	p.mu.Unlock()
	p.wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			p.wg.Go(func() {
				defer conn.Close()
				_, _ = fmt.Fprintf(conn, greeting, p.name, conn.RemoteAddr())
				_, _ = io.Copy(conn, conn)
			})
		}
	})
}

// forking is held while a process is started, which has every listener of this one until its program runs: one that is
// closed meanwhile would go on taking connections.
var forking sync.RWMutex

// stop has new connections refused; those that exist live on.
func (p *proxy) stop() {
	forking.RLock()
	defer forking.RUnlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil {
		_ = p.listener.Close()
		p.listener = nil
	}
}

// backends are the proxies with these weights.
func backends(proxies []*proxy, weights ...int) []balancer.Backend {
	var all []balancer.Backend
	for i, p := range proxies {
		all = append(all, balancer.Backend{Name: p.name, Addr: p.port.Addr(), Weight: weights[i]})
	}
	return all
}

// begin is our own balancer before as many proxies as there are weights. All of it ends with the test.
func begin(t testing.TB, weights ...int) (*balancer.Balancer, *history.History, []*proxy) {
	t.Helper()
	behind, end := proxies(t, len(weights))
	t.Cleanup(end)
	h := history.New()
	b, err := balancer.New(h, backends(behind, weights...))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	return b, h, behind
}

// begins begins a balancer as begin does.
type begins func(t testing.TB, weights ...int) (*balancer.Balancer, *history.History, []*proxy)

// onEach runs a test on each balancer there is.
func onEach(t *testing.T, test func(t *testing.T, begin begins)) {
	for name, begin := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, begin)
		})
	}
}

// greeting is what a proxy says first, as long for every proxy: "p1 127.0.0.1:40000      ".
const (
	greeting     = "%2s %-21s"
	greetingSize = 2 + 1 + 21
)

// given is a connection that the balancer gave to a proxy, as its client sees it.
type given struct {
	net.Conn
	client string
	proxy  string // who greeted it
	from   string // where the proxy sees it come from
}

// connect makes a connection at the client's VIP. It is nil if the balancer closed it at once.
func connect(t require.TestingT, b *balancer.Balancer, client string) *given {
	conn, err := tryConnect(b, client)
	require.NoError(t, err)
	return conn
}

// tryConnect is connect for goroutines, which must not end the test.
func tryConnect(b *balancer.Balancer, client string) (*given, error) {
	vip, err := b.VIP(client)
	if err != nil {
		return nil, err
	}
	conn, err := net.DialTimeout("tcp", vip.Addr(), patience)
	if errors.Is(err, syscall.ECONNRESET) { // closed before the dial woke up
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	said := make([]byte, greetingSize)
	if _, err := io.ReadFull(conn, said); err != nil {
		_ = conn.Close()
		if errors.Is(err, syscall.ECONNRESET) || err == io.EOF { // HAProxy's drain ends it by FIN
			return nil, nil
		}
		return nil, err
	}
	words := strings.Fields(string(said))
	return &given{Conn: conn, client: client, proxy: words[0], from: words[1]}, nil
}

// goes connects client and requires that it is given to that proxy, "" for none. The connection lasts as long as the
// test.
func goes(t *testing.T, b *balancer.Balancer, client, proxy string) *given {
	t.Helper()
	conn := connect(t, b, client)
	if proxy == "" {
		require.Nil(t, conn)
		return nil
	}
	require.NotNil(t, conn, "the balancer closed the connection")
	require.Equal(t, proxy, conn.proxy)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// alive holds while something said on conn comes back.
func alive(t require.TestingT, conn net.Conn) {
	_, err := io.WriteString(conn, "hello")
	require.NoError(t, err)
	_, err = io.ReadFull(conn, make([]byte, 5))
	require.NoError(t, err)
}

// requireReset holds when conn ends by RST.
func requireReset(t require.TestingT, conn net.Conn) {
	_, err := conn.Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNRESET)
}

// requireEnded holds when conn ends, by FIN too: HAProxy ends connections so.
func requireEnded(t require.TestingT, conn net.Conn) {
	_, err := conn.Read(make([]byte, 1))
	if !errors.Is(err, io.EOF) {
		require.ErrorIs(t, err, syscall.ECONNRESET)
	}
}

// until waits for a condition.
func until(t require.TestingT, promise string, holds func() bool) {
	require.Eventually(t, holds, patience, time.Millisecond, promise)
}

// vaguely are Conn events without the words in which a balancer says why a proxy refused.
func vaguely(all []history.Conn) []history.Conn {
	for i, c := range all {
		if c.Op == "refuse" && c.Detail != "" {
			all[i].Detail = "why"
		}
		all[i].Detail = because.ReplaceAllString(all[i].Detail, "refused (why)")
	}
	return all
}

var because = regexp.MustCompile(`refused \([^)]+\)`)

// conns are the Conn events so far.
func conns(h *history.History) []history.Conn {
	var all []history.Conn
	for _, e := range h.Events() {
		all = append(all, *e.Conn)
	}
	return all
}
