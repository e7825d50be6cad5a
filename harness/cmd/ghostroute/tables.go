package main

import (
	"fmt"
	"slices"

	"ghostroute/harness/text"
)

// only is all, or where a name is wanted the one of that name.
func only[T any](all []T, wanted string, named func(string) (T, error)) ([]T, error) {
	if wanted == "" {
		return all, nil
	}
	one, err := named(wanted)
	if err != nil {
		return nil, usage{err}
	}
	return []T{one}, nil
}

// tally is what moved in a table whose verdicts can be accepted, and which of that came to unknown.
type tally struct{ moved, unknown []string }

// told tells what moved, and ends with 1 if anything did; or has write accept it, but for what is unknown.
func (c *command) told(t tally, accept bool, write func() error) error {
	if !accept {
		for _, news := range t.moved {
			fmt.Fprintln(c.out, "\n"+news)
		}
		if len(t.moved) > 0 {
			return foundf("%s moved", text.Count(len(t.moved), "cell"))
		}
		return nil
	}
	if err := write(); err != nil {
		return err
	}
	fmt.Fprintf(c.out, "%s moved: look at git diff fixtures\n", text.Count(len(t.moved), "cell"))
	if len(t.unknown) > 0 {
		slices.Sort(t.unknown)
		return foundf("never accepted, unknown: %s", text.And(t.unknown))
	}
	return nil
}
