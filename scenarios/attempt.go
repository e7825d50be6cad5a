package scenarios

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ghostroute/harness/gateway"
	"ghostroute/harness/pace"
	"ghostroute/harness/trial"
)

// attempts is how often a trial is made whose premises time breaks; the last of them alone, with no other beside it:
// what made it late may be their number.
const attempts, together = 5, 2

// few and many are how many trials do something at a time, on a machine that hardly keeps up, and on one that is idle;
// standing is how many there are with those that wait their patience out.
const few, many, standing = 6, 48, 96

// standstill is how long a goroutine that is ready may wait for its turn. A trial during which one waited longer says
// nothing: what should have come first may have come second.
const standstill = 400 * time.Millisecond

// trial is a trial's result. It is made again where time broke a premise, which is told and counted; never for what it
// came to.
func (m *Matrix) trial(ctx context.Context, s Scenario, f Fix, reading gateway.Kind) (r Result,
	again []string, err error) {
	for n := 1; n <= attempts; n++ {
		turn := m.pace.Later
		if n > together {
			turn = m.pace.Alone
		}
		r, err = m.paced(ctx, turn, s, f, reading)
		if err != nil {
			return r, again, fmt.Errorf("%s against %s, read %s: %w", s.Name, f.Name, reading, err)
		}
		if !r.Late {
			break
		}
		again = append(again, r.Failed)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, why := range again {
		m.again = append(m.again, fmt.Sprintf("%s against %s, read %s, was tried again: %s", s.Name, f.Name, reading, why))
	}
	m.found[Key{s.Name, f.Name, reading}] = r.Verdict.Label()
	return r, again, nil
}

// paced is a trial that begins when it is its turn, and is void if the machine did not keep up with it.
func (m *Matrix) paced(ctx context.Context, turn pace.Turn, s Scenario, f Fix, reading gateway.Kind) (Result, error) {
	select {
	case m.room <- struct{}{}:
		defer func() { <-m.room }()
	case <-ctx.Done():
		return Result{}, context.Cause(ctx)
	}
	ctx, end, err := turn(ctx)
	if err != nil {
		return Result{}, err
	}
	defer end()
	began := time.Now()
	r, err := m.try(ctx, s, f, reading)
	r.Took = time.Since(began)
	switch stood := m.pace.Stood(began); {
	case err != nil:
	case stood > standstill:
		r.broke(&trial.Late{What: "the machine stood still for " + stood.Round(time.Millisecond).String()})
	case r.Overran:
		r.Late = stood > standstill/4 // what does not end on a machine that keeps up would not end the next time
	}
	return r, err
}

// Trial is one trial, of a fix that need not be one of Fixes, and why it was made again, where it was.
func (m *Matrix) Trial(ctx context.Context, s Scenario, f Fix, reading gateway.Kind) (Result, []string, error) {
	return m.trial(ctx, s, f, reading)
}

// try runs one trial on a cluster of the pool. When ctx has ended the trial is void, and its cluster ends with the
// pool.
func (m *Matrix) try(ctx context.Context, s Scenario, f Fix, reading gateway.Kind) (Result, error) {
	c, err := m.pool.Take(ctx, Topology(s, f, reading).Members)
	if err != nil {
		return Result{}, err
	}
	limited, done := context.WithTimeoutCause(ctx, trialTimeout,
		fmt.Errorf("the trial was still running after %s", trialTimeout))
	defer done()
	r, err := Try(limited, c, m.on, s, f, reading)
	switch {
	case ctx.Err() != nil:
		return r, context.Cause(ctx)
	case limited.Err() != nil && err == nil:
		r.Overran = true
		r.broke(&trial.Late{What: context.Cause(limited).Error()})
	}
	if err == nil {
		err = r.Again(r.Verdict)
	}
	return r, errors.Join(err, m.pool.Give(ctx, c))
}
