package check

import (
	"cmp"
	"slices"
	"time"
)

// Monotonic checks that no client is taken back in time.
func Monotonic() Check {
	v := verdicts{"monotonic", "the revisions that one client is told never go back"}
	return Check{Name: v.name, Promise: v.promise, Judge: func(rec Record) Result {
		return rec.session(v, func(r Read) []seen { return rec.readsOf(r.Client) }, "an earlier answer", false)
	}}
}

// OwnWrites checks that a client sees what it wrote.
func OwnWrites() Check {
	v := verdicts{"own-writes", "no answer lacks what its own client had acknowledged before it asked"}
	return Check{Name: v.name, Promise: v.promise, Judge: func(rec Record) Result {
		return rec.session(v, func(r Read) []seen { return rec.writesOf(r.Client) }, "its own write", true)
	}}
}

// seen is a revision that a client knew of from a moment on.
type seen struct {
	seq      int
	at       time.Duration
	revision int64
}

func (rec Record) readsOf(client string) (list []seen) {
	for _, r := range rec.Reads {
		if r.Client == client && r.Err == "" {
			list = append(list, seen{r.Seq, r.Ended, r.Revision})
		}
	}
	return list
}

func (rec Record) writesOf(client string) (list []seen) {
	for _, w := range rec.Writes {
		// A write without an acknowledgement is no lower bound: it may not have been done.
		if w.Client == client && w.Err == "" && w.Revision > 0 {
			list = append(list, seen{w.Seq, w.Ended, w.Revision})
		}
	}
	return list
}

// session finds a read whose answer is older than something that its client knew before the read began. With same, an
// older answer that was still true at what the client knew is as good as a new one.
func (rec Record) session(v verdicts, known func(Read) []seen, what string, same bool) Result {
	t := rec.truth()
	reads, checked := slices.Clone(rec.Reads), 0
	slices.SortStableFunc(reads, func(a, b Read) int { return cmp.Compare(a.Ended, b.Ended) })
	byClient := map[string][]seen{}
	for _, r := range reads {
		if r.Client == "" || r.Err != "" {
			continue
		}
		if _, ok := byClient[r.Client]; !ok {
			byClient[r.Client] = known(r)
		}
		before := false
		for _, k := range byClient[r.Client] {
			if k.seq == r.Seq || k.at >= r.Began {
				continue // at the same time: either may have been first
			}
			before = true
			if same && r.At == 0 && rec.knows(k.revision) && t.at(k.revision).answers(r) {
				continue
			}
			if same && r.At != 0 {
				continue // the past was asked for
			}
			if r.Revision < k.revision {
				return v.broken([]int{k.seq, r.Seq},
					"%s was told %s by %s (%s) as of revision %d, having known revision %d from %s",
					r.Client, told(r), r.Via, r.Source, r.Revision, k.revision, what)
			}
		}
		if before {
			checked++
		}
	}
	return v.settled(checked, "answers behind "+what)
}
