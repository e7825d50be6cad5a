package harness

import (
	"context"

	"ghostroute/harness/history"
	"ghostroute/harness/stage"
	"ghostroute/harness/wait"
)

// What the notebook still calls, until its commands call the stage's acts and harness/trial.

// Root is stage.Root.
const Root = stage.Root

// Until is wait.Until.
func Until(ctx context.Context, condition func() bool) error { return wait.Until(ctx, "it was waited for", condition) }

// Settle is Truth.
func (b *Bench) Settle(ctx context.Context) (history.Truth, error) { return b.Truth(ctx) }

// Deregister is Leave.
func (b *Bench) Deregister(ctx context.Context, id string) error { return b.Leave(ctx, id) }

// WaitGone is Expire, and Truth.
func (b *Bench) WaitGone(ctx context.Context, ids ...string) (history.Truth, error) {
	if err := b.Expire(ctx, ids...); err != nil {
		return history.Truth{}, err
	}
	return b.Truth(ctx)
}

// Fault records a fault that was made on a link.
func (b *Bench) Fault(kind history.FaultKind, op history.FaultOp, target, detail string) {
	b.History.Add(history.Event{Who: "bench", Fault: &history.Fault{Kind: kind, Op: op, Target: target, Detail: detail}})
}
