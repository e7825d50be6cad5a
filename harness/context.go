package harness

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// grace is what a test has left for its clean-up when its context ends before go test's own timeout would panic.
const grace = 10 * time.Second

// Context is a context for a test: it ends with the test, shortly before `go test -timeout` would panic and leave
// everything behind, and on Ctrl-C, after which no further test begins. Its cause says which.
func Context(t testing.TB) (context.Context, context.CancelFunc) {
	if interrupted.Load() {
		t.Skip("not begun: the process was told to end")
	}
	ctx, stop := signal.NotifyContext(t.Context(), os.Interrupt, syscall.SIGTERM)
	forget := context.AfterFunc(ctx, func() { interrupted.Store(t.Context().Err() == nil) })
	end := func() { forget(); stop() }
	if d, ok := t.(interface{ Deadline() (time.Time, bool) }); ok {
		if at, ok := d.Deadline(); ok {
			ctx, done := context.WithDeadlineCause(ctx, at.Add(-grace),
				errors.New("go test's -timeout is about to end the process"))
			return ctx, func() { done(); end() }
		}
	}
	return ctx, end
}

// interrupted says that the process was told to end: a signal is the process's, whichever test was running when it
// came.
var interrupted atomic.Bool
