//go:build !real

// Package onreal says what the tests of the parts run members and proxies on: embedded in the test's process, or with
// the build tag "real" as processes of an etcd of their own, so that one suite holds for both.
package onreal

import (
	"testing"

	"ghostroute/harness/program"
)

// Program is what members and proxies run.
func Program(testing.TB) program.Program { return program.Program{} }
