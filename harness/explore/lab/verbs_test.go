package lab

import (
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/explore/plan"
)

// A verb that the lab does not know would otherwise be found in the middle of a soak.
func TestEveryVerbIsTakenInTheLab(t *testing.T) {
	for _, v := range plan.Verbs() {
		require.Contains(t, acts, v)
	}
	_, err := new(Machine).Apply(plan.Step{Verb: "levitate"})
	require.EqualError(t, err, `the lab does not know the verb "levitate"`)
}
