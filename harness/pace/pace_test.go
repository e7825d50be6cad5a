package pace

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestAsManyBeginAsTheMachineKeepsUpWith: in a bubble a sleep is never late, so all may; what is late is said.
func TestAsManyBeginAsTheMachineKeepsUpWith(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(2, 5)
		defer p.Close()
		begun := make(chan func(), 9)
		for range 9 {
			go func() {
				_, end, err := p.Begin(t.Context())
				require.NoError(t, err)
				begun <- end
			}()
		}
		synctest.Wait()
		require.Len(t, begun, 2, "the least")
		time.Sleep(window + tick) // the bubble's clock: no real time passes
		synctest.Wait()
		require.Len(t, begun, 3, "one more after a window that was on time")
		time.Sleep(10 * window) // as above
		synctest.Wait()
		require.Len(t, begun, 5, "the most")
		(<-begun)()
		synctest.Wait()
		require.Len(t, begun, 5, "one ended, and another has begun")
		for range 8 {
			(<-begun)()
			synctest.Wait()
		}
		require.Zero(t, p.running)
		require.Zero(t, p.Stood(time.Now().Add(-time.Hour)))
	})
}

func TestALateWindowHasFewerBegin(t *testing.T) {
	p := &Pace{least: 4, most: 40, limit: 40}
	began := time.Now()
	p.think(began, slow+1, 100*time.Millisecond)
	require.Equal(t, 35, p.Limit(), "an eighth fewer")
	p.running = 36
	p.think(began.Add(window), slow+1, 90*time.Millisecond)
	require.Equal(t, 35, p.Limit(), "what is too many ends first")
	p.running = 0
	for n := range 100 {
		p.think(began.Add(time.Duration(n)*window), slow+1, slow+1)
	}
	require.Equal(t, 4, p.Limit(), "the least")
	p.think(began.Add(time.Minute), quick-1, quick)
	require.Equal(t, 4, p.Limit(), "nobody waits for more")
	p.think(began.Add(time.Minute), (slow+quick)/2, slow)
	require.Equal(t, 100*time.Millisecond, p.Stood(began))
	require.Equal(t, slow, p.Stood(began.Add(40*time.Second)))
	p.think(began.Add(time.Hour), quick, quick)
	require.Len(t, p.slept, 1, "what is long ago is forgotten")
}

func TestWhoGivesUpWaitingTakesNobodysTurn(t *testing.T) {
	p := &Pace{least: 1, most: 1, limit: 1}
	_, end, err := p.Begin(t.Context())
	require.NoError(t, err)
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	_, _, err = p.Begin(ctx)
	require.ErrorIs(t, err, why)
	require.Empty(t, p.waiting)
	end()
	_, end, err = p.Begin(t.Context())
	require.NoError(t, err)
	end()
	require.Zero(t, p.running)
}

// TestWhoIsAloneWaitsForAllAndHoldsAllBack: for those under way and those that rest; and those that come meanwhile.
func TestWhoIsAloneWaitsForAllAndHoldsAllBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(3, 3)
		defer p.Close()
		begin := func(begin Turn, ctx context.Context) chan func() {
			begun := make(chan func(), 1)
			go func() {
				within, end, err := begin(ctx)
				require.NoError(t, err)
				if ctx != t.Context() {
					Rest(within, func() {})
				}
				begun <- end
			}()
			synctest.Wait()
			return begun
		}
		one, endOne, err := p.Begin(t.Context())
		require.NoError(t, err)
		two, endTwo, err := p.Begin(t.Context())
		require.NoError(t, err)
		rested := make(chan struct{})
		go Rest(two, func() { <-rested })
		alone := begin(p.Alone, one) // one gives its turn
		require.Empty(t, alone, "two rests")
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		_, _, err = p.Alone(gone)
		require.ErrorIs(t, err, context.Canceled)
		close(rested)
		synctest.Wait()
		require.Empty(t, alone, "two is under way again")
		endTwo()
		synctest.Wait()
		require.Len(t, alone, 1)
		after := begin(p.Begin, t.Context())
		require.Empty(t, after)
		_, _, err = p.Begin(gone)
		require.ErrorIs(t, err, context.Canceled)
		(<-alone)()
		synctest.Wait()
		require.Len(t, after, 1, "one, and who came after it")
		require.Equal(t, 2, p.running)
		(<-after)()
		endOne()

		all, end, err := p.Alone(t.Context())
		require.NoError(t, err)
		(<-begin(p.Begin, all))() // within what is alone nobody waits
		(<-begin(p.Alone, all))()
		require.True(t, p.alone)
		end()
		require.Zero(t, p.running)
		require.Zero(t, p.resting)
		require.False(t, p.alone)
	})
}

// TestWhoGoesFirst: all others end once, and not for each that is to be alone; and what there is
// much of goes behind what may be long.
func TestWhoGoesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(1, 1)
		defer p.Close()
		_, end, err := p.Begin(t.Context())
		require.NoError(t, err)
		order := make(chan string, 9)
		for _, w := range []struct {
			name string
			turn Turn
		}{{"alone 1", p.Alone}, {"later 1", p.Later}, {"first 1", p.Begin}, {"alone 2", p.Alone}, {"later 2", p.Later},
			{"first 2", p.Begin}} {
			go func() {
				_, end, err := w.turn(t.Context())
				require.NoError(t, err)
				order <- w.name
				end()
			}()
			synctest.Wait()
		}
		end()
		synctest.Wait()
		for _, name := range []string{"first 1", "first 2", "later 1", "later 2", "alone 1", "alone 2"} {
			require.Equal(t, name, <-order)
		}
	})
}

func TestWhoRestsHasAnotherBegin(t *testing.T) {
	p := &Pace{least: 1, most: 1, limit: 1}
	one, end, err := p.Begin(t.Context())
	require.NoError(t, err)
	Rest(one, func() {
		_, other, err := p.Begin(t.Context())
		require.NoError(t, err)
		defer other()
		require.Equal(t, 1, p.running)
	})
	require.Equal(t, 1, p.running)
	within, over, err := p.Begin(one)
	require.NoError(t, err)
	Rest(within, func() { require.Zero(t, p.running, "it is in one's turn") })
	over()
	require.Equal(t, 1, p.running)
	end()
	require.Zero(t, p.running)
	Rest(t.Context(), func() { require.Zero(t, p.running, "nothing has begun that could rest") })
}
