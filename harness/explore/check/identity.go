package check

import "time"

// Identity checks that no client is answered what it may not read.
func Identity() Check {
	v := verdicts{"identity", "no client is told what it was not allowed to read at any moment of its call"}
	return Check{Name: v.name, Promise: v.promise, Judge: func(rec Record) Result {
		if rec.Grants == nil {
			return v.unknown("the record does not say who may read what")
		}
		checked := 0
		for _, r := range rec.Reads {
			user := r.Client // each client is a user of its own
			if r.Err != "" || user == "" {
				continue
			}
			checked++
			if !rec.allowed(user, r) {
				return v.broken([]int{r.Seq}, "%s was told %s by %s (%s) and may not read it", user, told(r), r.Via, r.Source)
			}
		}
		return v.settled(checked, "answers")
	}}
}

// allowed says whether there was a moment between the read's begin and end at which the user was allowed to make it.
// What no grant speaks of is not allowed.
func (rec Record) allowed(user string, r Read) bool {
	may := false
	var from time.Duration
	for _, g := range rec.Grants {
		if g.User != user || !covers(g.Key, g.End, r.Key, r.End) {
			continue
		}
		if may && g.From > r.Began {
			return true // it was allowed until after the read began
		}
		if g.From > r.Ended {
			break
		}
		may, from = g.Allowed, g.From
	}
	return may && from <= r.Ended
}

// covers says whether the range key, end holds all of the other.
func covers(key, end, otherKey, otherEnd string) bool {
	if end == "" {
		return otherEnd == "" && key == otherKey
	}
	if otherKey < key {
		return false
	}
	switch {
	case end == "\x00":
		return true
	case otherEnd == "\x00":
		return false
	case otherEnd == "":
		return otherKey < end
	}
	return otherEnd <= end
}
