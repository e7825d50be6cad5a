package main

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// errUnread is why a command stops whose output is read no more: ghostroute matrix | head -1.
var errUnread = errors.New("the output is not read any more")

// whileRead is a context that ends when the reader of a pipe closes it. done must be called; it waits for what watches.
func whileRead(ctx context.Context, out *os.File) (watched context.Context, done func()) {
	watched, cancel := context.WithCancelCause(ctx)
	wake, stop, err := os.Pipe()
	if err != nil {
		return watched, func() { cancel(nil) } // then a write will say so
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		// POLLERR and POLLHUP are reported without being asked for; a file that is no pipe never has them.
		for fds := []unix.PollFd{{Fd: int32(out.Fd())}, {Fd: int32(wake.Fd()), Events: unix.POLLIN}}; ; {
			switch _, err := unix.Poll(fds, -1); {
			case err != nil && !errors.Is(err, unix.EINTR), fds[1].Revents != 0:
				return
			case fds[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0:
				cancel(errUnread)
				return
			}
		}
	}()
	return watched, func() {
		stop.Close()
		<-over
		wake.Close()
		cancel(nil)
	}
}

// columns is how wide a terminal is; 0 if it is none.
func columns(out *os.File) int {
	size, err := unix.IoctlGetWinsize(int(out.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	return max(int(size.Col), 1)
}

// colours says whether to colour: --color decides, and where that is auto, a terminal does unless NO_COLOR is set
// (no-color.org).
func colours(flag string, out *os.File) bool {
	if flag == "auto" {
		return os.Getenv("NO_COLOR") == "" && columns(out) > 0
	}
	return flag == "always"
}
