package notebook

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

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
	done  chan struct{}
	err   error // what run returned, once done is closed
}

// b is the bench.
func (c *call) b() *harness.Bench { return c.nb.bench }

// ctx ends with the notebook's deadline.
func (c *call) ctx() context.Context { return c.nb.ctx }

// patiently is ctx for as long as a command waits for an answer: as patience= says, or otherwise. It has no deadline,
// which would travel with the request: whoever is asked would then give up a moment before who asks, and that would be
// the answer.
func (c *call) patiently(otherwise time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(c.ctx())
	over := time.AfterFunc(cmp.Or(c.duration("patience"), otherwise), cancel)
	return ctx, func() { over.Stop(); cancel() }
}

// say prints a line.
func (c *call) say(format string, args ...any) {
	c.lines = append(c.lines, strings.TrimRight(fmt.Sprintf(format, args...), " "))
}

// result is what a command that is done printed.
func (c *call) result() ([]string, error) {
	var m mistake
	switch {
	case c.err == nil:
		return c.lines, nil
	case errors.As(c.err, &m):
		return nil, c.err
	case c.nb.ctx.Err() != nil:
		return nil, fmt.Errorf("%w ended here: %s: %v", context.Cause(c.nb.ctx), c.command.Name, c.err)
	}
	return nil, fmt.Errorf("%s: %w", c.command.Name, c.err)
}

// mistake is an error about how a command was written.
type mistake string

func (m mistake) Error() string { return string(m) }
