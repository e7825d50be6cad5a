package notebook

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"ghostroute/harness"
)

// call is one command that runs.
type call struct {
	nb      *Notebook
	command *Command
	pos     string
	args    map[string][]string
	input   string
	at      string // the proxy that holds it

	lines []string
	waits atomic.Pointer[string]
	done  chan struct{}
	err   error // what run returned, once done is closed
}

// b is the bench.
func (c *call) b() *harness.Bench { return c.nb.bench }

// ctx ends with the notebook's deadline.
func (c *call) ctx() context.Context { return c.nb.ctx }

// say prints a line.
func (c *call) say(format string, args ...any) {
	c.lines = append(c.lines, strings.TrimRight(fmt.Sprintf(format, args...), " "))
}

// awaits tells what the command waits for from now on, for whoever finds it waiting still at the deadline.
func (c *call) awaits(format string, args ...any) {
	s := fmt.Sprintf(format, args...)
	c.waits.Store(&s)
}

func (c *call) waitsFor() string {
	if s := c.waits.Load(); s != nil {
		return *s
	}
	return c.command.Name + " to be done"
}

// result is what a command that is done printed.
func (c *call) result() (string, error) {
	var m mistake
	switch {
	case c.err == nil:
		return strings.Join(c.lines, "\n"), nil
	case errors.As(c.err, &m):
		return "", c.err
	case c.nb.ctx.Err() != nil:
		return "", fmt.Errorf("%w ended here. The command waited for %s: %v", context.Cause(c.nb.ctx), c.waitsFor(), c.err)
	}
	return "", fmt.Errorf("%s: %w", c.command.Name, c.err)
}

// mistake is an error about how a command was written.
type mistake string

func (m mistake) Error() string { return string(m) }
