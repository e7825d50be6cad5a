package lab

import (
	"context"
	"errors"
	"time"

	"ghostroute/harness/explore"
	"ghostroute/harness/explore/plan"
)

// Hurry has calls that nothing can answer given up at once.
func Hurry(l *Lab) { l.moment = time.Nanosecond }

// Again is Try of what is no plan. try is told how long a call that nothing can answer is waited for.
func Again(ctx context.Context, l *Lab, try func(moment time.Duration) error) (Outcome, error) {
	return l.again(ctx, func(bool) (Outcome, error) { return Outcome{Steps: 1}, try(l.moment) })
}

// Take takes a plan's own steps beside the model and gives what was seen. The caches must hold what the model's do.
func Take(ctx context.Context, l *Lab, p plan.Plan) (seen []plan.Observation, err error) {
	m, err := l.Machine(ctx, p)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	taking := explore.Taking{Machine: m, Oracle: beside(l.oracle(m)), Look: true}
	if seen, err = taking.Take(p.Steps); err == nil && taking.Since != nil {
		err = taking.Since
	}
	return seen, err
}
