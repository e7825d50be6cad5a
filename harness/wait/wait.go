// Package wait waits for conditions that no event announces. What an event announces is waited for by that event, see
// history.Wait.
package wait

import (
	"context"
	"fmt"
	"time"
)

// For polls until nothing is missing, or ctx ends: then the error says what was missing last, and why ctx ended.
func For(ctx context.Context, missing func() string) error {
	for pause := 100 * time.Microsecond; ; pause = min(2*pause, 20*time.Millisecond) {
		lacks := missing()
		if lacks == "" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", lacks, context.Cause(ctx))
		case <-time.After(pause):
		}
	}
}

// Until is For where there is one thing to be missing.
func Until(ctx context.Context, missing string, holds func() bool) error {
	return For(ctx, func() string {
		if holds() {
			return ""
		}
		return missing
	})
}
