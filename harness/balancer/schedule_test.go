package balancer

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func nobody(int) bool { return false }

func TestScheduleIsLVSs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		weights []int
		want    string // the first connections' backends, A the first
	}{
		{"ip_vs_wrr's own example", []int{4, 3, 2}, "AABABCABC AABABCABC"},
		{"equal", []int{1, 1, 1}, "ABC ABC"},
		{"equal and higher", []int{7, 7}, "AB AB"},
		{"one has all", []int{1, 0, 0}, "AAA"},
		{"the last has all", []int{0, 0, 5}, "CCC"},
		{"common divisor", []int{6, 4}, "AABAB AABAB"},
		{"the heaviest is not the first", []int{1, 3}, "BBAB BBAB"},
		{"none", []int{0, 0}, ""},
		{"no backends", nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSchedule(tt.weights)
			for n, want := range strings.ReplaceAll(tt.want, " ", "") {
				got, ok := s.next(nobody)
				require.True(t, ok)
				require.Equalf(t, string(want), string(rune('A'+got)), "connection %d", n+1)
			}
			if tt.want == "" {
				_, ok := s.next(nobody)
				require.False(t, ok)
			}
		})
	}
}

// TestScheduleSharesByWeight: in as many connections as the weights add up to, from wherever in the schedule, each
// backend gets exactly its weight; one of weight 0 gets none.
func TestScheduleSharesByWeight(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.IntRange(0, 12), 1, 9).Draw(t, "weights")
		sum := 0
		for _, w := range weights {
			sum += w
		}
		s := newSchedule(weights)
		for range rapid.IntRange(0, 50).Draw(t, "before") {
			s.next(nobody)
		}
		got := make([]int, len(weights))
		for range sum {
			i, ok := s.next(nobody)
			require.True(t, ok)
			got[i]++
		}
		require.Equal(t, weights, got)
	})
}

// TestScheduleSkips: a backend that is skipped gets nothing, the others keep their shares among themselves.
func TestScheduleSkips(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.IntRange(0, 12), 1, 9).Draw(t, "weights")
		dead := make([]bool, len(weights))
		want, sum := make([]int, len(weights)), 0
		for i, w := range weights {
			if dead[i] = rapid.Bool().Draw(t, "dead"); !dead[i] {
				want[i] = w
				sum += w
			}
		}
		s := newSchedule(weights)
		got := make([]int, len(weights))
		for range sum {
			i, ok := s.next(func(i int) bool { return dead[i] })
			require.True(t, ok)
			got[i]++
		}
		require.Equal(t, want, got)
		if sum == 0 {
			_, ok := s.next(func(i int) bool { return dead[i] })
			require.False(t, ok)
		}
	})
}
