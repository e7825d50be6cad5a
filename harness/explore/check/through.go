package check

import (
	"slices"

	"ghostroute/harness/history"
)

// Through is a check of what proxies answer. What a member says itself is left out: one that is cut off answers
// serializable reads with what it has, and no proxy promises otherwise.
func Through(c Check) Check {
	judge := c.Judge
	c.Promise = "through a proxy, " + c.Promise
	c.Judge = func(rec Record) Result {
		rec.Reads = slices.DeleteFunc(slices.Clone(rec.Reads), func(r Read) bool { return r.Source == history.Member })
		r := judge(rec)
		r.Promise = c.Promise
		return r
	}
	return c
}
