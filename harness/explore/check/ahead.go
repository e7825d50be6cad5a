package check

import "ghostroute/harness/promise"

// Ahead checks that nobody is told of a revision that there is not yet: who waits for a Created to know that a write is
// in rests on that.
func Ahead() Check {
	return promised("ahead", "no list and no watch is said to have reached a revision that etcd has not reached",
		promise.Ahead)
}
