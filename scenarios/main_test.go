package scenarios

import (
	"context"
	"flag"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"ghostroute/harness"
	"ghostroute/harness/etcd"
	"ghostroute/harness/gateway"
	"ghostroute/harness/pace"
	"ghostroute/harness/race"
)

// What go-micro starts and nobody can end is named, with its reason, in gateway.KnownLeaks; everything else must be
// gone.
func TestMain(m *testing.M) { goleak.VerifyTestMain(paced{m}, gateway.KnownLeaks()...) }

// machine is what all tests here that have benches share, the cells of the matrix too: what is more than it keeps up
// with waits for its turn.
var machine *pace.Pace

type paced struct{ *testing.M }

// Run has as many tests wait for their turn as there are, unless it is told how many: machine says how many have it.
// Under the race detector it is five that begin at all, for each takes ten times the memory there.
func (p paced) Run() int {
	parallel := "10000"
	if race.Enabled {
		parallel = "5"
	}
	if err := flag.Set("test.parallel", parallel); err != nil { // what is told is read after it, by p.M.Run
		panic(err)
	}
	machine = pace.New(few, many)
	defer machine.Close()
	return p.M.Run()
}

// steady does something when it is its turn; and again, in the end with nothing else beside it, where the machine stood
// still meanwhile, or members elected another leader: what should have come first may have come second, and so it says
// nothing, whatever it came to.
func steady(all context.Context, t *testing.T, do func(context.Context) error) {
	t.Helper()
	var err error
	for n := range attempts {
		turn := machine.Begin
		if n >= together {
			turn = machine.Alone
		}
		ctx, end, late := turn(all)
		require.NoError(t, late)
		began := time.Now()
		err = do(ctx)
		end()
		why := "the machine stood still for " + machine.Stood(began).Round(time.Millisecond).String()
		if machine.Stood(began) <= standstill {
			if !etcd.GaveUp(err) {
				break
			}
			why = err.Error()
		}
		harness.Again(t, t.Name()+" was tried again: "+why)
	}
	require.NoError(t, err)
}

// lasting is a test's context, for as long as t lasts.
func lasting(t *testing.T) context.Context {
	ctx, cancel := harness.Context(t)
	t.Cleanup(cancel)
	return ctx
}

// begin waits until it is t's turn, which lasts until t ends.
func begin(t *testing.T) context.Context {
	ctx, end, err := machine.Begin(lasting(t))
	require.NoError(t, err)
	t.Cleanup(end)
	return ctx
}

// shared has a matrix take turns with all other tests. When every cell has ended it closes it, and says what was tried
// again.
func shared(t *testing.T, m *Matrix) {
	m.PacedBy(machine)
	t.Cleanup(func() {
		require.NoError(t, m.Close())
		for _, again := range m.Again() {
			harness.Again(t, again)
		}
	})
}
