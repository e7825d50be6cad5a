package scenarios

import (
	"context"
	"errors"

	"ghostroute/harness/gateway"
	"ghostroute/harness/notebook"
	"ghostroute/harness/verdict"
)

// ForNotebooks are the options of notebooks that may name this package's scenarios and fixes; trials are the matrix'
// own, made again where time broke a premise.
func ForNotebooks(m *Matrix) notebook.Options {
	o := notebook.Options{Scenarios: Names()}
	for _, f := range Fixes() {
		operator := f.Deploy != nil || f.Remedy != nil
		o.Fixes = append(o.Fixes, notebook.Fix{Name: f.Name, Apply: f.Apply, Operator: operator})
	}
	o.Try = func(ctx context.Context, scenario, fix, reading string) (v verdict.Verdict, na string, err error) {
		s, serr := Named(scenario)
		f, ferr := FixNamed(fix)
		if err := errors.Join(serr, ferr); err != nil {
			return v, "", err
		}
		if na := NotApplicable(s, f, gateway.Kind(reading)); na != "" {
			return v, na, nil
		}
		r, _, err := m.Trial(ctx, s, f, gateway.Kind(reading))
		return r.Verdict, "", err
	}
	return o
}
