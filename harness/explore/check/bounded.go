package check

import (
	"fmt"
	"time"
)

// Bounded checks that no answer was out of date for longer than bound when it was asked for.
func Bounded(bound time.Duration) Check {
	v := verdicts{"bounded", fmt.Sprintf("no answer stopped being true more than %v before it was asked for", bound)}
	return Check{Name: v.name, Promise: v.promise, Judge: func(rec Record) Result {
		if !rec.Complete || rec.Base == 0 {
			return v.unknown("the record does not have every change")
		}
		changes, checked := rec.changes(), 0
		for _, r := range rec.Reads {
			if r.Err != "" || r.At != 0 {
				continue
			}
			end, ok := trueUntil(r, changes)
			if !ok {
				continue // it was never true at all: digest's business
			}
			checked++
			if r.Began-end > bound {
				return v.broken([]int{r.Seq}, "%s was told %s by %s (%s), which had not been true for %v",
					name(r), told(r), r.Via, r.Source, (r.Began - end).Round(time.Millisecond))
			}
		}
		return v.settled(checked, "answers")
	}}
}

// trueUntil is the last moment at which the answer may still have been true; ok is false where it never was.
func trueUntil(r Read, changes []change) (end time.Duration, ok bool) {
	s := store{}
	was := s.answers(r)
	ok = was
	for _, c := range changes {
		for _, x := range c.commits {
			s.apply(x)
		}
		is := s.answers(r)
		if was && !is {
			end = c.latest
		}
		ok, was = ok || is, is
	}
	if was {
		end = r.Ended // true to the last
	}
	return end, ok
}
