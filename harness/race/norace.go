//go:build !race

package race

// Enabled says whether this runs under the race detector.
const Enabled = false
