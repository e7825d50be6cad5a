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

// A cluster that somebody else started: one's own, in a test. What is registered there has a name that no other has,
// and is gone afterwards; everything else is refused.
func ExampleConnect() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	somebodys, err := harness.Open(ctx, harness.Topology{Members: 1}) // name all that there are, or one may lag
	if err != nil {
		fmt.Println(err)
		return
	}
	defer somebodys.Close()
	a, err := harness.Connect(ctx, harness.Endpoints{ // in a test: harness.Attach(t, harness.Endpoints{…})
		Members: []string{somebodys.Cluster.Members[0].Endpoint()},
		Proxies: []string{somebodys.Proxy("p1").Addr(), somebodys.Proxy("p2").Addr()},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := a.Register(ctx, "v1-a", "p1"); err != nil {
		fmt.Println(err)
	}
	if _, err := a.Gateway(ctx, "g2", "p2"); err != nil {
		fmt.Println(err)
	}
	if err := a.Prime(ctx); err != nil {
		fmt.Println(err)
	}
	if err := a.Leave(ctx, "v1-a"); err != nil {
		fmt.Println(err)
	}
	answer, calls, err := a.Look(ctx, "g2")
	if err != nil {
		fmt.Println(err)
	}
	fmt.Println(answer.Via, "names", history.IDs(answer.Endpoints), "and a call of it is a", calls[0].Status)
	fmt.Println(a.Cut(ctx, "p2"))
	fmt.Println(a.Close(ctx)) // every key and lease of the run is gone, and each proxy has forgotten them
	// Output:
	// p2 names [v1-a] and a call of it is a 502
	// p2 is not cut off: the cluster is somebody else's, and faults are made on a bench of one's own (see Start)
	// <nil>
}
