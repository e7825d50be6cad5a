package balancer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"ghostroute/harness/history"
	"ghostroute/harness/port"
	"ghostroute/harness/process"
	"ghostroute/harness/wait"
)

// HAProxy says how a process of HAProxy runs. Program and Dir are required.
type HAProxy struct {
	Program Program
	// an existing folder, which is its owner's: for a log, "lb.log", and while it runs for a folder with its
	// configuration and its sockets
	Dir    string
	Sticky bool // source affinity, see Balancer.SetSticky
}

// haproxy is the scheduler that is a process of HAProxy's, "mode tcp", "balance roundrobin". Each connection to a VIP
// is one connection to it, from an address of 127.0.0.0/8 that is the client's own; where it goes is HAProxy's to
// choose, and it is believed for no other reason than its word: the line that it logs when a backend has taken the
// connection, which is waited for before anything passes.
type haproxy struct {
	cfg      HAProxy
	backends []Backend
	folder   *os.File
	front    *port.Port    // where it listens
	log      *net.UnixConn // where it says what became of a connection
	process  *process.Process

	clients map[string]net.Addr // the address that each client's connections come from
	failed  []int               // what each backend's counters of failed attempts stood at last
}

// highestHAProxy is the highest weight of HAProxy's.
const highestHAProxy = 256

// NewHAProxy starts an HAProxy before backends, which need not listen yet. It runs until Close.
func NewHAProxy(ctx context.Context, h *history.History, backends []Backend, cfg HAProxy) (*Balancer, error) {
	if err := valid(backends, highestHAProxy); err != nil {
		return nil, err
	}
	x := &haproxy{cfg: cfg, backends: backends, clients: map[string]net.Addr{}, failed: make([]int, len(backends))}
	if err := x.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("%s does not balance: %w", cfg.Program, err), x.end())
	}
	return begin(h, backends, x), nil
}

// start starts the process, and returns when it takes connections.
func (x *haproxy) start(ctx context.Context) (err error) {
	folder, err := os.MkdirTemp(x.cfg.Dir, "lb-")
	if err != nil {
		return err
	}
	if x.folder, err = os.Open(folder); err != nil {
		return errors.Join(err, os.RemoveAll(folder))
	}
	if x.front, err = port.ReserveForProcess(); err != nil {
		return err
	}
	if x.log, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: x.file("log"), Net: "unixgram"}); err != nil {
		return err
	}
	if err = os.WriteFile(x.file("cfg"), []byte(x.config()), 0o600); err != nil {
		return err
	}
	x.process, err = process.Start(process.Config{Name: "haproxy", Path: x.cfg.Program.Path,
		Args: []string{"-db", "-C", folder, "-f", "cfg"}, Log: filepath.Join(x.cfg.Dir, "lb.log"), Run: x.cfg.Dir})
	if err != nil {
		return err
	}
	return x.process.Await(ctx, func() string {
		if _, err := x.ask("show info"); err != nil {
			return err.Error()
		}
		return ""
	})
}

// file is a file in the folder, by a path that is short: a unix socket's has 107 bytes, and a folder's may have more.
// HAProxy goes by its working directory.
func (x *haproxy) file(name string) string {
	return fmt.Sprintf("/proc/self/fd/%d/%s", x.folder.Fd(), name)
}

func (x *haproxy) end() error {
	var errs []error
	if x.process != nil {
		errs = append(errs, x.process.Err())
		x.process.Kill()
	}
	if x.log != nil {
		_ = x.log.Close()
	}
	if x.front != nil {
		errs = append(errs, x.front.Close())
	}
	if x.folder != nil {
		errs = append(errs, os.RemoveAll(x.folder.Name()))
		_ = x.folder.Close()
	}
	return errors.Join(errs...)
}

// place connects to HAProxy, and waits for its word where it has led the connection.
func (x *haproxy) place(ctx context.Context, client string) (to placed, refused []refusal, err error) {
	x.unheard()
	conn, err := dial(ctx, x.addressOf(client), x.front.Addr())
	if err != nil {
		return placed{}, nil, errors.Join(fmt.Errorf("haproxy takes no connections: %w", err), x.process.Err())
	}
	to, again, err := x.hear(ctx, conn)
	if again || errors.Is(err, errNobody) {
		var unknown error
		if refused, unknown = x.refusals(); unknown != nil {
			err = errors.Join(err, unknown)
		}
	}
	if err != nil {
		_ = conn.Close()
	}
	return to, refused, err
}

// addressOf is the address that a client's connections come from: by it HAProxy tells clients apart.
func (x *haproxy) addressOf(client string) net.Addr {
	from, ok := x.clients[client]
	if !ok {
		n := len(x.clients)
		from = &net.TCPAddr{IP: net.IPv4(127, 1+byte(n>>16), byte(n>>8), byte(n))}
		x.clients[client] = from
	}
	return from
}

// unheard forgets what was said before: of connections that nobody waited for, or that there is no server left.
func (x *haproxy) unheard() {
	raw, err := x.log.SyscallConn()
	if err != nil {
		return
	}
	line := make([]byte, 512)
	_ = raw.Control(func(fd uintptr) { // fails only when it is closed
		for err := error(nil); err == nil; {
			_, _, err = unix.Recvfrom(int(fd), line, unix.MSG_DONTWAIT)
		}
	})
}

// hear waits for HAProxy's word on a connection: who has it, or that nobody takes it; and whether others were tried
// before.
func (x *haproxy) hear(ctx context.Context, conn *net.TCPConn) (to placed, again bool, err error) {
	if err := x.log.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return placed{}, false, err
	}
	defer context.AfterFunc(ctx, func() { _ = x.log.SetReadDeadline(time.Now()) })()
	for line := make([]byte, 512); ; {
		n, err := x.log.Read(line)
		if err != nil {
			return placed{}, false, errors.Join(
				fmt.Errorf("haproxy did not say within %s where it goes: %w", patience, err), x.process.Err())
		}
		w := strings.Fields(string(line[:n])) // see config: client, server, where it sees it come from, state, retries
		if len(w) != 5 || w[0] != conn.LocalAddr().String() {
			continue // another's, or none
		}
		again = strings.TrimPrefix(w[4], "+") != "0"
		i := slices.IndexFunc(x.backends, func(b Backend) bool { return b.Name == w[1] })
		switch {
		case w[3] == "--" && i >= 0:
			return placed{conn, i, w[2]}, again, nil
		case strings.HasPrefix(w[3], "S"): // it could not connect to a server, or has none
			return placed{}, again, errNobody
		}
		return placed{}, again, fmt.Errorf("haproxy ended it, its state %s", w[3])
	}
}

// refusals are the backends that HAProxy has tried in vain since it was asked last: nothing else makes it try while
// the turn is held.
func (x *haproxy) refusals() (refused []refusal, err error) {
	failed, err := x.counters()
	for i, n := range failed {
		if n > x.failed[i] {
			refused = append(refused, refusal{i, fmt.Errorf("haproxy counts %d attempts that failed", n-x.failed[i])})
			x.failed[i] = n
		}
	}
	return refused, err
}

func (x *haproxy) highest() int { return highestHAProxy }

func (x *haproxy) stick(on bool) error {
	if on == x.cfg.Sticky {
		return nil
	}
	return errors.New("whether HAProxy is sticky stands in its configuration: it is said when it is started")
}

func (x *haproxy) drain(backend int) error {
	name := x.backends[backend].Name
	if err := x.tell("shutdown sessions server px/" + name); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return wait.For(ctx, func() string {
		said, err := x.ask("show sess")
		switch {
		case err != nil:
			return err.Error()
		case strings.Contains(said, " srv="+name+" "):
			return "haproxy still has connections to " + name
		}
		return ""
	})
}
