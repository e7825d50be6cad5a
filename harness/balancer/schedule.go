package balancer

// schedule is LVS's weighted round robin (net/netfilter/ipvs/ip_vs_wrr.c in Linux), written out: rounds over the
// backends, the first for those of the highest weight, each further one for those of one greatest common divisor less,
// too. Weights 4, 3, 2 of A, B, C make A A B A B C A B C.
type schedule struct {
	cycle []int // backends by index
	at    int   // the next place in the cycle
}

// newSchedule begins a schedule for backends of these weights.
func newSchedule(weights []int) schedule {
	highest, step := 0, 0
	for _, w := range weights {
		highest, step = max(highest, w), gcd(step, w)
	}
	var s schedule
	for level := highest; level > 0; level -= step {
		for i, w := range weights {
			if w >= level {
				s.cycle = append(s.cycle, i)
			}
		}
	}
	return s
}

// next is the next place in the schedule whose backend is not to be skipped; false if there is none.
func (s *schedule) next(skip func(backend int) bool) (int, bool) {
	for range s.cycle {
		i := s.cycle[s.at]
		s.at = (s.at + 1) % len(s.cycle)
		if !skip(i) {
			return i, true
		}
	}
	return 0, false
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
