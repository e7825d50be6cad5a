package check

import "ghostroute/harness/promise"

// OwnRange checks that a watch is told of what it watches.
func OwnRange() Check {
	return promised("own-range", "a watch is told of its own range only", promise.Stranger)
}
