package scenarios

import (
	"context"
	"errors"

	"ghostroute/harness/gateway"
	"ghostroute/harness/notebook"
	"ghostroute/harness/stage"
	"ghostroute/harness/verdict"
)

// ForNotebooks are the options of notebooks that may name this package's scenarios and fixes; trials borrow their clusters from the pool.
func ForNotebooks(p *stage.Pool) notebook.Options {
	o := notebook.Options{Matrix: cells{p}}
	for _, f := range Fixes() {
		if f.Deploy == nil && f.Remedy == nil { // a matter of topology, which needs no operator
			o.Fixes = append(o.Fixes, notebook.Fix{Name: f.Name, Apply: f.Apply})
		}
	}
	return o
}

// cells is the matrix, for the notebooks.
type cells struct{ pool *stage.Pool }

func (c cells) Scenarios() (names []string) {
	for _, s := range All() {
		names = append(names, s.Name)
	}
	return names
}

func (c cells) Fixes() (names []string) {
	for _, f := range Fixes() {
		names = append(names, f.Name)
	}
	return names
}

func (c cells) Try(ctx context.Context, scenario, fix, reading string) (v verdict.Verdict, na string, err error) {
	s, serr := Named(scenario)
	f, ferr := FixNamed(fix)
	if err := errors.Join(serr, ferr); err != nil {
		return v, "", err
	}
	if na := NotApplicable(s, f, gateway.Kind(reading)); na != "" {
		return v, na, nil
	}
	cluster, err := c.pool.Take(ctx, 3)
	if err != nil {
		return v, "", err
	}
	r, err := Try(ctx, cluster, s, f, gateway.Kind(reading))
	return r.Verdict, "", errors.Join(err, c.pool.Give(ctx, cluster))
}
