package model

import (
	"fmt"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"ghostroute/harness/explore/plan"
)

// TestEveryShortPlan tries every plan up to a length and finds every cause there is. EXPLORE_LENGTH makes them longer.
func TestEveryShortPlan(t *testing.T) {
	t.Parallel()
	length := 4
	if testing.Short() {
		length = 3
	}
	if n, err := strconv.Atoi(os.Getenv("EXPLORE_LENGTH")); err == nil {
		length = n
	}
	r, err := Enumerate(Alphabet(), length)
	require.NoError(t, err)
	t.Logf("%d plans of at most %d of %d steps: %d steps taken in %v (%.1f million a second); %d plans end wrong",
		r.Plans, r.Length, r.Steps, r.Taken, r.Elapsed.Round(1e6), float64(r.Taken)/1e6/r.Elapsed.Seconds(), r.Wrong)
	found := map[Cause]bool{}
	for _, f := range r.Findings {
		t.Logf("%s, %s: %d plans, the shortest is\n%s", f.Cause, f.Symptom, f.Plans, f.Plan)
		require.NotEqual(t, Unexplained, f.Cause, f.Plan)
		require.NotEmpty(t, f.Cause.Where(), f.Cause)
		found[f.Cause] = true
	}
	if length < 4 {
		return
	}
	for _, c := range Causes() {
		require.True(t, found[c], "%s: not found", c)
	}
}

func BenchmarkStep(b *testing.B) {
	p := plan.Random(plan.Config{Steps: 60, Verbs: plan.Calls()}, 1)
	m := New(p)
	ops := make([]op, len(p.Steps))
	for i := range p.Steps {
		var err error
		if ops[i], err = m.u.compile(&p.Steps[i], m.Door, i+1); err != nil {
			b.Fatal(err)
		}
	}
	var s state
	b.ReportAllocs()
	b.ResetTimer()
	n := 0
	for b.Loop() {
		s.init(p, fullCache)
		for i := range ops {
			s.do(&m.u, &ops[i])
		}
		n += len(ops)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "steps/s")
}

func BenchmarkEnumerate(b *testing.B) {
	for b.Loop() {
		r, err := Enumerate(Alphabet(), 3)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(r.Taken)/r.Elapsed.Seconds(), "steps/s")
	}
}

// BenchmarkApply is a step of the oracle: with names, answers and words.
func BenchmarkApply(b *testing.B) {
	p := plan.Random(plan.Config{Steps: 60, Verbs: plan.Calls()}, 1)
	n := 0
	for b.Loop() {
		m := New(p)
		for _, s := range p.Steps {
			if _, err := m.Apply(s); err != nil {
				b.Fatal(fmt.Errorf("%s: %w", s, err))
			}
		}
		n += len(p.Steps)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "steps/s")
}
