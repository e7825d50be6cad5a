package check

import (
	"cmp"
	"slices"

	"ghostroute/harness/history"
)

// Convergence checks that peace ends every disagreement: when everything is healed and nothing is pending, the last
// answer that each client had of each range is the truth.
func Convergence() Check {
	v := verdicts{"convergence", "once everything is healed and nothing is pending, every client is told the truth"}
	return Check{Name: v.name, Promise: v.promise, Judge: func(rec Record) Result {
		switch {
		case rec.Healed == 0:
			return v.unknown("nothing was ever healed")
		case !rec.Complete || rec.Base == 0:
			return v.unknown("the record does not have every change")
		}
		t := rec.truth()
		now, checked := t.at(t.last()), 0
		var pending string
		for _, r := range rec.lastAnswers() {
			if r.Err != "" {
				pending = name(r) + " was still told an error: " + r.Err
				continue
			}
			checked++
			if now.answers(r) {
				continue
			}
			if r.Source != history.Hit {
				// Without the cache's word for it, what was wrong may have been on its way to being right.
				pending = name(r) + " was told something else than the truth, but not from a cache"
				continue
			}
			return v.broken([]int{r.Seq},
				"%s is told %s by %s from its cache as of revision %d; the truth is %s as of revision %d",
				name(r), told(r), r.Via, r.Revision, list(now.keys(r.Key, r.End)), t.last())
		}
		if pending != "" {
			return v.unknown("%s", pending)
		}
		return v.settled(checked, "last answers")
	}}
}

// lastAnswers are, of the reads that began after Healed, the last of each client, endpoint and request.
func (rec Record) lastAnswers() []Read {
	type question struct {
		client, via, key, end string
		shape                 any
	}
	last := map[question]Read{}
	for _, r := range rec.Reads {
		if r.Began < rec.Healed || r.At != 0 {
			continue
		}
		q := question{r.Client, r.Via, r.Key, r.End, r.Shape}
		if old, ok := last[q]; !ok || r.Ended >= old.Ended {
			last[q] = r
		}
	}
	var list []Read
	for _, r := range last {
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b Read) int { return cmp.Compare(a.Seq, b.Seq) })
	return list
}
