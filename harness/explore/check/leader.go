package check

import "ghostroute/harness/promise"

// Leader checks that who requires a leader is told that there is none, as a witness was who asked the member itself.
func Leader() Check {
	return promised("leader", "a watch that requires a leader ends when its member has none", promise.Leaderless)
}
