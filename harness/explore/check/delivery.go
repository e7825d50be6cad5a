package check

import "ghostroute/harness/promise"

// Delivery checks that a watch is told everything once and in order, or ends.
func Delivery() Check {
	return promised("delivery",
		"what is committed in a watch's range is delivered to it once and in order, with nothing left out, or it ends",
		promise.Silent, promise.Lost, promise.Again)
}
