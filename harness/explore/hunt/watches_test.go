package hunt

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Plans have watches where only checks about watches are asked for; every other one has where others are, too.
func TestPlansHaveWatchesWhereTheyAreAskedFor(t *testing.T) {
	for list, want := range map[string][2]bool{
		"convergence,identity": {false, false},
		"delivery,meeting":     {true, true},
		"convergence,leader":   {false, true},
		"all":                  {false, true},
	} {
		checks, err := Checks(list)
		require.NoError(t, err)
		h := &hunter{Config: Config{Checks: checks}}
		require.Equal(t, want, [2]bool{h.watches(6), h.watches(7)}, list)
	}
}
