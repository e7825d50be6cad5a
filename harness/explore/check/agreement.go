package check

import (
	"slices"

	"ghostroute/harness/keys"
)

// Agreement checks that reads of different shapes, made at one instant through one proxy, tell the same story.
func Agreement() Check {
	v := verdicts{"agreement", "what one proxy answers to different reads while nothing changes is one story"}
	return Check{Name: v.name, Promise: v.promise, Judge: func(rec Record) Result {
		if !rec.Complete {
			return v.unknown("the record does not have every change, so no two reads are known to be of one instant")
		}
		changes := rec.changes()
		pending, checked := rec.pending(changes), 0
		for i, a := range rec.Reads {
			for _, b := range rec.Reads[i+1:] {
				if a.Via != b.Via || a.Err != "" || b.Err != "" || a.At != 0 || b.At != 0 || !quiet(a, b, changes, pending) {
					continue
				}
				key, ok, comparable := agree(a, b)
				if !comparable {
					continue
				}
				checked++
				if !ok {
					return v.broken([]int{a.Seq, b.Seq}, "%s tells %s of %s and %s of %s at one instant: they differ about %s",
						a.Via, told(a), rangeText(a), told(b), rangeText(b), key)
				}
			}
		}
		return v.settled(checked, "pairs of answers")
	}}
}

// quiet says whether nothing can have changed from the begin of the first of two reads to the end of the last.
func quiet(a, b Read, changes []change, pending []Write) bool {
	from, to := min(a.Began, b.Began), max(a.Ended, b.Ended)
	for _, c := range changes {
		if c.earliest <= to && c.latest >= from {
			return false
		}
	}
	for _, w := range pending {
		if w.Began <= to {
			return false
		}
	}
	return true
}

// agree compares two answers where their ranges meet: which keys are there and, where noted, at which revisions. A
// count is compared with an answer of the same range only. comparable is false where they have nothing in common.
func agree(a, b Read) (key string, ok, comparable bool) {
	sameRange := a.Key == b.Key && a.End == b.End
	if a.Shape.Count || b.Shape.Count {
		if !sameRange || a.Shape.Limit > 0 || b.Shape.Limit > 0 {
			return "", true, false
		}
		return "how many there are", count(a) == count(b), true
	}
	if a.Shape.Limit > 0 && len(a.Keys) >= a.Shape.Limit || b.Shape.Limit > 0 && len(b.Keys) >= b.Shape.Limit {
		return "", true, false // what was cut off is not known
	}
	if !keys.Overlap(a.Key, a.End, b.Key, b.End) {
		return "", true, false
	}
	for _, x := range []struct{ one, other Read }{{a, b}, {b, a}} {
		for i, k := range x.one.Keys {
			if !keys.In(k, x.other.Key, x.other.End) {
				continue
			}
			j := slices.Index(x.other.Keys, k)
			if j < 0 {
				return k, false, true
			}
			if i < len(x.one.Mods) && j < len(x.other.Mods) && x.one.Mods[i] != x.other.Mods[j] {
				return k, false, true
			}
		}
	}
	return "", true, true
}

func count(r Read) int64 {
	if r.Shape.Count {
		return r.Count
	}
	return int64(len(r.Keys))
}

func rangeText(r Read) string {
	text := r.Key
	switch r.End {
	case "":
	case "\x00":
		text += " and all behind it"
	default:
		text += " to " + r.End
	}
	if s := r.Shape.String(); s != "" {
		text += " (" + s + ")"
	}
	return text
}
