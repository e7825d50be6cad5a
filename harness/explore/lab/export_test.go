package lab

import "time"

// Hurry has calls that nobody can answer given up at once.
func Hurry(l *Lab) { l.moment = time.Nanosecond }
