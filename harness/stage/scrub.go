package stage

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"ghostroute/harness/wait"
)

// Scrubbing is one way to rid a proxy of what it remembers of a prefix.
type Scrubbing func(ctx context.Context, proxy *clientv3.Client, prefix string) error

// Reading reads the prefix linearizably, byte for byte as it is read otherwise: an entry is healed by exactly the
// request that filled it.
func Reading(ctx context.Context, proxy *clientv3.Client, prefix string) error {
	_, err := proxy.Get(ctx, prefix, clientv3.WithPrefix())
	return err
}

// Evicting compares the prefix in a transaction that does nothing. The proxy forgets every entry that overlaps it
// (grpcproxy/kv.go:121, Txn), whatever request filled it, but for those that end nowhere: reads from a key on are
// indexed as their first key alone. The members write nothing, make no revision, and ask for the permission to read.
func Evicting(ctx context.Context, proxy *clientv3.Client, prefix string) error {
	_, err := proxy.Txn(ctx).If(clientv3.Compare(clientv3.Version(prefix), ">", -1).WithPrefix()).Commit()
	return err
}

// Scrub scrubs prefixes at every proxy, once.
func (s *Stage) Scrub(ctx context.Context, how Scrubbing, prefixes ...string) error {
	for _, p := range s.proxies {
		if err := s.scrub(ctx, p.Name(), how, prefixes); err != nil {
			return err
		}
	}
	return nil
}

func (s *Stage) scrub(ctx context.Context, proxy string, how Scrubbing, prefixes []string) error {
	c, err := s.At(ctx, proxy)
	if err != nil {
		return err
	}
	for _, prefix := range prefixes {
		if err := how(ctx, c, prefix); err != nil {
			return fmt.Errorf("%s was not scrubbed: %w", proxy, err)
		}
	}
	return nil
}

// pass is what the scrubber does at a tick. A proxy that does not answer in time is passed over, so that it costs those
// behind it nothing; then the error names it.
func (s *Stage) pass(ctx context.Context, how Scrubbing, prefixes []string) (err error) {
	for _, p := range s.proxies {
		one, end := context.WithTimeout(ctx, time.Second)
		err = errors.Join(err, s.scrub(one, p.Name(), how, prefixes))
		end()
	}
	return err
}

// scrubber is what runs beside the proxies.
type scrubber struct {
	mu     sync.Mutex   // held while it scrubs, or is held back
	passes atomic.Int64 // how often it has been through every proxy
	stop   func()       // ends it, and returns when it has ended; nil where there is none
}

// StartScrub scrubs again and again until Close. A proxy that is down or cut off is scrubbed at a later tick.
func (s *Stage) StartScrub(every time.Duration, how Scrubbing, prefixes ...string) {
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
				s.scrubber.mu.Lock()
				if s.pass(ctx, how, prefixes) == nil {
					s.scrubber.passes.Add(1)
				}
				s.scrubber.mu.Unlock()
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
