// Package check holds the promises that a registry behind proxies may keep or break, each in a file of its own, as pure
// functions over what was recorded. None of them looks at a running bench, and none guesses: what the record does not
// settle is unknown.
package check

import (
	"fmt"
	"time"
)

// Outcome is what a record says of a promise.
type Outcome string

const (
	Kept    Outcome = "kept"    // nothing in the record breaks it, and there was something that could have
	Broken  Outcome = "broken"  // this is how
	Unknown Outcome = "unknown" // the record does not settle it
)

// Result is the outcome of one check of one record.
type Result struct {
	Check   string
	Promise string
	Outcome Outcome
	Why     string // which client and where, in one sentence
	Events  []int  // the places in the history that show it
}

// Error is the result as an error: the broken promise first, then which client and where; nil unless it is broken.
func (r Result) Error() error {
	if r.Outcome != Broken {
		return nil
	}
	return fmt.Errorf("broken promise: %s: %s", r.Promise, r.Why)
}

// Check is one promise.
type Check struct {
	Name    string // one word, for --checks
	Promise string // the promise in a sentence
	Watches bool   // it is about watches: only plans that have some can break it
	Judge   func(Record) Result
}

// All are the checks, those of reads from the strongest to the weakest, then those of watches. bound is what "bounded"
// allows, patience how long "linearizable" may think.
func All(bound, patience time.Duration) []Check {
	return append([]Check{
		Linearizable(patience), OwnWrites(), Monotonic(), Bounded(bound), Agreement(), Digest(), Convergence(), Identity(),
	}, OfWatches()...)
}

// OfWatches are those that are about watches.
func OfWatches() []Check {
	return []Check{Delivery(), OwnRange(), Meeting(), Reason(), Leader(), Ahead()}
}

// verdicts makes a check's results.
type verdicts struct{ name, promise string }

func (v verdicts) result(o Outcome, why string, events ...int) Result {
	return Result{Check: v.name, Promise: v.promise, Outcome: o, Why: why, Events: events}
}

func (v verdicts) broken(events []int, format string, args ...any) Result {
	return v.result(Broken, fmt.Sprintf(format, args...), events...)
}

func (v verdicts) unknown(format string, args ...any) Result {
	return v.result(Unknown, fmt.Sprintf(format, args...))
}

// settled is kept where something was checked, unknown where nothing was.
func (v verdicts) settled(checked int, what string) Result {
	if checked == 0 {
		return v.unknown("the record has no %s to check", what)
	}
	return v.result(Kept, fmt.Sprintf("%d %s checked", checked, what))
}
