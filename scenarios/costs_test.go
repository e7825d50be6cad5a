package scenarios

import (
	"runtime/debug"
	"testing"
)

// moduleVersion is the version of a module that the tests were built with, with what replaces it.
func moduleVersion(path string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, d := range info.Deps {
		if d.Path != path {
			continue
		}
		if d.Replace != nil {
			return d.Version + ", replaced by " + d.Replace.Version + " (a changed copy)"
		}
		return d.Version
	}
	return ""
}

func (m *matrix) measure(t *testing.T) {}
