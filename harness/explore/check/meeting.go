package check

import "ghostroute/harness/promise"

// Meeting checks that nothing is lost between a list and the watch after it for ever: a client that lists again where
// its watch began too early comes to be told.
func Meeting() Check {
	return promised("meeting", "a list, and a watch from the next revision, meet", promise.Livelock)
}
