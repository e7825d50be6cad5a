package explore

import (
	"context"

	"ghostroute/harness/explore/plan"
)

// Found is a plan that breaks a promise, made small.
type Found struct {
	Plan     plan.Plan // the shrunk one; its seed is the one that the long one was drawn from
	From     plan.Plan // the long one
	Why      error     // of the shrunk one
	Seeds    int       // plans drawn until then
	Machines int       // plans run in all, shrinking included
}

// Find draws plans from seed, seed+1 … until judge finds fault with one, and shrinks that. judge runs a plan and returns the
// broken promise as broken, nil if there is none; err is trouble, and ends the search. With no fault found when ctx ends or n
// plans are drawn (0: no end), it returns nil.
func Find(ctx context.Context, c plan.Config, seed uint64, n int, judge func(plan.Plan) (broken, err error)) (*Found, error) {
	f := &Found{}
	for i := 0; (n == 0 || i < n) && ctx.Err() == nil; i++ {
		p := plan.Random(c, seed+uint64(i))
		f.Seeds, f.Machines = f.Seeds+1, f.Machines+1
		broken, err := judge(p)
		if err != nil {
			return nil, err
		}
		if broken == nil {
			continue
		}
		f.From, f.Why = p, broken
		f.Plan = plan.Shrink(p, 0, func(q plan.Plan) bool {
			if err != nil || ctx.Err() != nil {
				return false
			}
			var again error
			f.Machines++
			again, err = judge(q)
			if again != nil {
				f.Why = again
			}
			return again != nil
		})
		return f, err
	}
	return nil, nil
}
