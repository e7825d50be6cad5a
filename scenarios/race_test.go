//go:build race

package scenarios

// raced says whether this runs under the race detector.
const raced = true
