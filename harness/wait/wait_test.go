package wait_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/wait"
)

func TestForSaysWhatWasMissingLastAndWhy(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	said := []string{"a", "b"}
	err := wait.For(ctx, func() string {
		last := said[0]
		if len(said) > 1 {
			said = said[1:]
		} else {
			cancel(errors.New("enough"))
		}
		return last
	})
	require.EqualError(t, err, "b: enough")

	n := 0
	require.NoError(t, wait.Until(t.Context(), "three calls", func() bool { n++; return n == 3 }))
}
