package notebook

import (
	"context"

	"ghostroute/harness/verdict"
)

// Matrix is the matrix of scenarios and fixes, as try asks it.
type Matrix interface {
	Scenarios() []string
	Fixes() []string
	// Try runs one cell under the worst schedule that the scenario knows for the fix. na says why it makes no sense, if it makes none.
	Try(ctx context.Context, scenario, fix, reading string) (v verdict.Verdict, na string, err error)
}
