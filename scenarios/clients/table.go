package clients

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"ghostroute/scenarios"
)

// Cell is what a scenario comes to for a client behind such proxies.
type Cell struct {
	Key
	Label string // a verdict's, "" where the scenario makes no sense for the client
	Why   string
	Again []string // why earlier trials were no trials
}

// String is the cell in a line, and one more for each trial that was made again.
func (c Cell) String() string {
	label := c.Label
	if label == "" {
		label = "–"
	}
	line := fmt.Sprintf("%-22s%-20s%-12s%-14s%s", c.Scenario, c.Client, c.Proxies, label,
		strings.ReplaceAll(c.Why, "\n", " "))
	for _, why := range c.Again {
		line += "\n  it was tried again: " + why
	}
	return line
}

// Try tries these scenarios with these clients behind these proxies, some at a time, and calls tell after each.
func Try(ctx context.Context, dir string, ss []scenarios.Scenario, cs []Client, proxies []string, parallel int,
	tell func(Cell)) (err error) {
	m, err := scenarios.NewMatrix(nil, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	places := make(chan struct{}, parallel)
	var telling sync.Mutex
	var wg sync.WaitGroup
	for _, s := range ss {
		for _, c := range cs {
			for _, p := range proxies {
				select {
				case places <- struct{}{}:
				case <-ctx.Done():
					continue
				}
				wg.Go(func() {
					defer func() { <-places }()
					cell, err := try(ctx, m, s, c, p)
					if err != nil {
						stop(err)
						return
					}
					telling.Lock()
					defer telling.Unlock()
					tell(cell)
				})
			}
		}
	}
	wg.Wait()
	return context.Cause(ctx)
}

func try(ctx context.Context, m *scenarios.Matrix, s scenarios.Scenario, c Client, proxies string) (Cell, error) {
	cell := Cell{Key: Key{s.Name, c.Name, proxies}}
	behind, err := scenarios.FixNamed(proxies)
	if err != nil {
		return cell, err
	}
	if cell.Why, err = c.never(s); err != nil || cell.Why != "" {
		return cell, err
	}
	if c.Starts {
		s = s.StartedAfter()
	}
	r, again, err := m.Trial(ctx, s, c.fix(behind), c.Reading)
	cell.Label, cell.Why, cell.Again = r.Verdict.Label(), r.Verdict.Why, again
	return cell, err
}
