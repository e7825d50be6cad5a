package scenarios

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"ghostroute/harness/gateway"
	"ghostroute/harness/pace"
)

// What go-micro starts and nobody can end is named, with its reason, in gateway.KnownLeaks; everything else must be
// gone.
func TestMain(m *testing.M) { goleak.VerifyTestMain(paced{m}, gateway.KnownLeaks()...) }

// machine is what tests that are many share; the cells of a matrix are paced by the matrix.
var machine *pace.Pace

type paced struct{ *testing.M }

func (p paced) Run() int {
	machine = pace.New(4, 24)
	defer machine.Close()
	return p.M.Run()
}

// begin waits until the machine keeps up with one more test, which lasts until t ends.
func begin(t *testing.T) {
	_, end, err := machine.Begin(t.Context())
	require.NoError(t, err)
	t.Cleanup(end)
}

// closeAfter closes a matrix when every cell has ended, and says what was tried again.
func closeAfter(t *testing.T, m *Matrix) {
	t.Cleanup(func() {
		require.NoError(t, m.Close())
		for _, again := range m.Again() {
			fmt.Println(again)
		}
	})
}
