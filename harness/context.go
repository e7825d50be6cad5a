package harness

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"testing"
	"time"
)

// grace is what a test has left for its clean-up when its context ends before go test's own timeout would panic.
const grace = 10 * time.Second

// Context is a context for a test: it ends with the test, shortly before `go test -timeout` would panic and leave everything behind,
// and on Ctrl-C, after which no further test gets far. Its cause says which.
func Context(t testing.TB) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := context.AfterFunc(interrupted(), func() { cancel(context.Cause(interrupted())) })
	end := func() { stop(); cancel(context.Canceled) }
	if d, ok := t.(interface{ Deadline() (time.Time, bool) }); ok {
		if at, ok := d.Deadline(); ok {
			ctx, done := context.WithDeadlineCause(ctx, at.Add(-grace), errors.New("go test's -timeout is about to end the process"))
			return ctx, func() { done(); end() }
		}
	}
	return ctx, end
}

// interrupted ends when the process is told to. Signals are the process's: there is one such context for all benches.
var interrupted = sync.OnceValue(func() context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	c := make(chan os.Signal, 1)
	signal.Notify(c, os.Interrupt, syscall.SIGTERM)
	go func() {
		s := <-c
		cancel(errors.New("the process was told to end: " + s.String()))
		signal.Stop(c) // a second one kills
	}()
	return ctx
})
