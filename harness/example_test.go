package harness_test

import (
	"context"
	"fmt"
	"time"

	"ghostroute/harness"
	"ghostroute/harness/history"
)

// The incident in a dozen lines: v1-a deregisters through p1, and g2, whose connection goes to p2, is still sent to it.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	b, err := harness.Open(ctx, harness.Topology{}) // in a test: harness.Start(t, harness.Topology{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer b.Close()
	if err := b.Prime(ctx); err != nil {
		fmt.Println(err)
	}
	if err := b.Leave(ctx, "v1-a"); err != nil {
		fmt.Println(err)
	}
	truth, err := b.Truth(ctx)
	if err != nil {
		fmt.Println(err)
	}
	answer, calls := b.Look(ctx, "g2")
	ghosts, _ := history.Compare(answer.Endpoints, truth.Endpoints)
	fmt.Println("a cache", answer.Source, "at", answer.Via, "names", ghosts, "who is gone")
	for _, c := range calls {
		fmt.Println(c.Target, c.Status)
	}
	// Output:
	// a cache hit at p2 names [v1-a] who is gone
	// v1-a 502
	// v1-b 200
}
