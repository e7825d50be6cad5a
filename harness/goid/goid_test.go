package goid

import (
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNoTwoAtATimeHaveTheSame asks in many goroutines that live at the same time, again after each has given way to
// others, been collected around, and grown a stack that had to be moved.
func TestNoTwoAtATimeHaveTheSame(t *testing.T) {
	const many = 1000
	var mu sync.Mutex
	seen := map[ID]bool{}
	var asked, over sync.WaitGroup
	asked.Add(many)
	for range many {
		over.Go(func() {
			first := Current()
			mu.Lock()
			seen[first] = true
			mu.Unlock()
			asked.Done()
			asked.Wait() // until all have, none ends
			runtime.Gosched()
			if again := deep(64); again != first {
				t.Errorf("it was %x and is %x", first, again)
			}
		})
	}
	asked.Wait()
	runtime.GC()
	over.Wait()
	require.Len(t, seen, many)
	require.NotContains(t, seen, ID(0))
}

//go:noinline
func deep(n int) ID {
	var frame [1 << 10]byte
	if n == 0 {
		return Current()
	}
	frame[n] = byte(n)
	id := deep(n - 1)
	runtime.KeepAlive(&frame)
	return id
}

func BenchmarkCurrent(b *testing.B) {
	for b.Loop() {
		Current()
	}
}
