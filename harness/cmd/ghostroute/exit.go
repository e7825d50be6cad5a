package main

import (
	"context"
	"errors"
	"fmt"

	"ghostroute/harness/explore"
	"ghostroute/harness/room"
)

// found is the error of a command that ran and did not come out as expected.
type found struct{ error }

// usage is the error of a command line that asks for what there is not.
type usage struct{ error }

// Exit codes, as etcdctl has them where they say the same.
const (
	codeFound = 1   // something was found, or moved
	codeRun   = 2   // it could not be run, or not to its end
	codeUsage = 128 // the command line is wrong
)

const codesHelp = `Exit codes:
  0    as expected
  1    something was found, or moved
  2    it could not be run, or not to its end
  128  the command line is wrong`

// code is the exit code for an error. What cobra finds before a command begins is about the command line.
func (c *command) code(err error) int {
	var u usage
	var f found
	var d *explore.Disagreement // of the model and what it is held to: one of them has moved
	_, noRoom := room.Short(err)
	switch {
	case noRoom && c.begun:
		return codeRun
	case errors.As(err, &u), !c.begun:
		return codeUsage
	case errors.As(err, &f), errors.As(err, &d):
		return codeFound
	}
	return codeRun
}

func foundf(format string, args ...any) error { return found{fmt.Errorf(format, args...)} }

func usagef(format string, args ...any) error { return usage{fmt.Errorf(format, args...)} }

// ended is the error of what ran until err, unless it was told to end: then it says why, and what was done.
func ended(ctx context.Context, err error, done string) error {
	if ctx.Err() == nil {
		return err
	}
	why := context.Cause(ctx)
	if errors.Is(why, context.Canceled) {
		why = errors.New("interrupted")
	}
	return fmt.Errorf("%w: %s", why, done)
}
