// Command ghostroute runs all there is to run: the incident, the matrix, the notebooks, the explorer, and what judges
// and draws a saved history. See ghostroute --help.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"ghostroute/harness/room"
)

func main() {
	signal.Ignore(syscall.SIGPIPE) // a write to a closed pipe is then an error, and what was begun is ended
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	ctx, done := whileRead(ctx, os.Stdout)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	done()
	os.Exit(code)
}

// run runs one command line and returns the exit code.
func run(ctx context.Context, args []string, out, errs *os.File) int {
	c := &command{out: out}
	root := c.root()
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errs)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	said := err
	if short, ok := room.Short(err); ok {
		said = short
	}
	fmt.Fprintf(errs, "ghostroute: %v\n", said)
	return c.code(err)
}
