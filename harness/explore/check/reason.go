package check

import "ghostroute/harness/promise"

// Reason checks what watches say when they end.
func Reason() Check {
	return promised("reason", "a watch ends for a reason, that reason is so, and there is one",
		promise.Wordless, promise.Untrue, promise.Refused, promise.Belied)
}
