package stage

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness/wait"
)

// Scrub reads ranges linearizably through every proxy, once, byte for byte as they are read otherwise: a proxy's entry
// is healed by exactly the request that filled it. It is what the fix "scrubber" does.
func (s *Stage) Scrub(ctx context.Context, prefixes ...string) error {
	for _, p := range s.proxies {
		c, err := s.At(ctx, p.Name())
		if err != nil {
			return err
		}
		for _, prefix := range prefixes {
			if _, err := c.Get(ctx, prefix, clientv3.WithPrefix()); err != nil {
				return fmt.Errorf("%s was not scrubbed: %w", p.Name(), err)
			}
		}
	}
	return nil
}

// scrubber is what the fix of that name runs beside the proxies.
type scrubber struct {
	mu     sync.Mutex   // held while it reads, or is held back
	passes atomic.Int64 // how often it has been through every proxy
	stop   func()       // ends it, and returns when it has ended; nil where there is none
}

// StartScrub scrubs again and again until Close. A proxy that is down or cut off is scrubbed at a later tick.
func (s *Stage) StartScrub(every time.Duration, prefixes ...string) {
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	s.scrubber.stop = func() { cancel(); work.Wait() }
	work.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				pass, end := context.WithTimeout(ctx, time.Second)
				s.scrubber.mu.Lock()
				if s.Scrub(pass, prefixes...) == nil {
					s.scrubber.passes.Add(1)
				}
				s.scrubber.mu.Unlock()
				end()
			}
		}
	})
}

// HoldScrub holds the scrubber back until release is called.
func (s *Stage) HoldScrub() (release func()) {
	s.scrubber.mu.Lock()
	return sync.OnceFunc(s.scrubber.mu.Unlock)
}

// Scrubbed waits until the scrubber has been through every proxy, from the first to the last, once more.
func (s *Stage) Scrubbed(ctx context.Context) error {
	seen := s.scrubber.passes.Load()
	return wait.Until(ctx, "the scrubber did not get through every proxy", func() bool {
		return s.scrubber.passes.Load() >= seen+2 // one may be under way
	})
}
