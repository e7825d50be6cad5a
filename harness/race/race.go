//go:build race

// Package race says whether the race detector is on: what it has nothing to find in may then be less.
package race

// Enabled says whether this runs under the race detector.
const Enabled = true
