//go:build unix

// Package port keeps a TCP port for a node's whole life, so that "stopped" means refused and "restarted" means the same
// address.
//
// A node that just closes its listener gives its port back to the system, and the next listener of the same machine may
// be given it: a gateway that dials a dead instance would then get an answer from a stranger, and a proxy could not
// come back where it was. A reserved port is bound and never listened on; connections to it are refused until Listen,
// and again after its listener closed.
package port

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"ghostroute/harness/wait"
)

// Port is a reserved TCP port on 127.0.0.1. Close gives it back.
type Port struct {
	fd   int
	addr string
	once sync.Once
}

// Reserve takes a port the system chooses.
func Reserve() (*Port, error) { return reserve(unix.SO_REUSEPORT) }

// ReserveForProcess is Reserve for a port that a process of its own will listen on. Nobody is given it by chance; who
// asks for just that port, as any of Go's listeners may, has it while no other listens.
func ReserveForProcess() (*Port, error) { return reserve(unix.SO_REUSEADDR) }

func reserve(option int) (*Port, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("no port could be reserved on 127.0.0.1: %w", err)
	}
	err = errors.Join(unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, 1),
		unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	var name unix.Sockaddr
	if err == nil {
		name, err = unix.Getsockname(fd)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("no port could be reserved on 127.0.0.1: %w", err)
	}
	return &Port{fd: fd, addr: fmt.Sprintf("127.0.0.1:%d", name.(*unix.SockaddrInet4).Port)}, nil
}

// Addr is "127.0.0.1:port".
func (p *Port) Addr() string { return p.addr }

// Listen listens on the port. It may be called again after the listener it returned was closed.
func (p *Port) Listen() (net.Listener, error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		return errors.Join(c.Control(func(fd uintptr) { err = share(int(fd)) }), err)
	}}
	l, err := lc.Listen(context.Background(), "tcp4", p.addr)
	if err != nil {
		return nil, fmt.Errorf("the reserved port %s could not be listened on: %w", p.addr, err)
	}
	return l, nil
}

// closing is how long a listener that was closed may still be there.
const closing = time.Second

// Refuses waits until nobody listens on the port. A process that is being started has all of ours, a listener that is
// closed meanwhile too, until it is a program of its own (os/exec, between fork and exec).
func (p *Port) Refuses() error {
	ctx, cancel := context.WithTimeout(context.Background(), closing)
	defer cancel()
	err := wait.Until(ctx, "somebody listens", func() bool {
		c, err := net.DialTimeout("tcp", p.addr, closing)
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	})
	if err != nil {
		return fmt.Errorf("another process still serves at %s", p.addr)
	}
	return nil
}

// Close gives the port back to the system. It does not close a listener that Listen returned.
func (p *Port) Close() error {
	var err error
	p.once.Do(func() { err = unix.Close(p.fd) })
	return err
}

// share lets the reservation and its listener be bound to one port: the kernel gives connections to the one that
// listens, and refuses them while none does.
func share(fd int) error {
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
}
