package scenarios

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"ghostroute/harness"
	"ghostroute/harness/gateway"
	"ghostroute/harness/report"
)

// costReads is how many registry reads a fix's latency is measured over.
const costReads = 1000

// Costs measures what a fix costs, on a bench of its own: the latency of a registry read and how many of them reach
// etcd, what gateways see while a proxy dies, and whether a member can be replaced without a client's knowing. ctx
// bounds it all.
func Costs(ctx context.Context, f Fix) (*report.Costs, error) {
	top := Topology(Scenario{}, f, gateway.EachRequest)
	everyMember(&top)
	top.TTL = time.Hour // no lease is to end meanwhile, which on a busy machine a minute's did
	b, err := harness.Open(ctx, top)
	if err != nil {
		return nil, err
	}
	t := newTrial(ctx, b, Scenario{}, f)
	c, err := t.costs()
	if err != nil {
		err = fmt.Errorf("the costs of %s were not measured: %w", f.Name, err)
	}
	return c, errors.Join(err, b.Close())
}

// Measure measures the costs of these fixes, one after another, with nothing else running.
func Measure(ctx context.Context, fixes []report.Fix) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	for i := range fixes {
		f, err := FixNamed(fixes[i].Name)
		if err != nil {
			return err
		}
		if fixes[i].Costs, err = Costs(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

func (t *Trial) costs() (*report.Costs, error) {
	if err := t.Prime(t.ctx); err != nil {
		return nil, err
	}
	if t.Fix.Deploy != nil {
		if err := t.Fix.Deploy(t); err != nil {
			return nil, err
		}
	}
	c := &report.Costs{}
	t.latency(c)
	if err := t.replaceMember(c); err != nil {
		return nil, err
	}
	if err := t.proxyDeath(c); err != nil {
		return nil, err
	}
	return c, nil
}

// latency reads the registry again and again, each gateway in turn, one read at a time.
func (t *Trial) latency(c *report.Costs) {
	before := t.ranges()
	var took []time.Duration
	for i := range costReads {
		g := t.Gateways()[i%len(t.Gateways())]
		began := time.Now()
		_, _ = g.Registry().GetService(t.Topology.Service)
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	c.ReadP50, c.ReadP99 = took[costReads/2], took[costReads*99/100]
	if t.Topology.Direct || t.Topology.Variant.Relays {
		c.RangesPer1000 = costReads // nothing else answers
		return
	}
	c.RangesPer1000 = float64(t.ranges()-before) * 1000 / costReads
}

// ranges is how many Ranges the proxies have sent to etcd.
func (t *Trial) ranges() (n int64) {
	for _, p := range t.Proxies() {
		n += p.Ranges()
	}
	return n
}

// replaceMember replaces a member that no proxy and no client was told about, while every gateway reads on.
func (t *Trial) replaceMember(c *report.Costs) error {
	reads, failed, err := t.during(func() error {
		lead, err := t.Cluster.Leader(t.ctx)
		if err != nil {
			return err
		}
		for _, m := range t.Cluster.Members {
			if m != lead {
				_, err := t.Cluster.Replace(t.ctx, m)
				return err
			}
		}
		return errors.New("every member leads")
	})
	if err != nil {
		return err
	}
	c.MembersHidden = !t.Topology.Direct
	c.Note = fmt.Sprintf("one member replaced by another: %d of %d reads failed meanwhile", failed, reads)
	if t.Topology.Direct {
		c.Note += "; every client's configuration names the member that is gone"
	}
	return nil
}

// proxyDeath kills the proxy that g1 is connected to while every gateway passes requests on, and waits until they
// succeed again.
func (t *Trial) proxyDeath(c *report.Costs) error {
	if t.Topology.Direct {
		return nil
	}
	victim := t.Proxy(t.PinnedTo("g1"))
	began := time.Now()
	victim.Stop()
	ctx, cancel := context.WithTimeout(t.ctx, trialTimeout/2)
	defer cancel()
	d := &c.ProxyDeath
	d.Recovery = -1
	last := ""
	for ctx.Err() == nil {
		bad := 0
		for _, g := range t.Gateways() {
			r := g.Call(ctx, t.Topology.Service)
			d.Requests++
			if r.Status != 200 {
				bad++
			}
			if r.Status != 200 && ctx.Err() == nil {
				last = fmt.Sprintf("; after the death of %s, %s was answered %d to the end: %s", victim.Name(), g.Name(), r.Status,
					cmp.Or(r.Log, r.Err))
			}
		}
		d.Errors += bad
		if bad == 0 {
			d.Recovery = time.Since(began)
			return nil
		}
		select { // a gateway is asked a few hundred times a second
		case <-ctx.Done():
		case <-time.After(2 * time.Millisecond):
		}
	}
	c.Note += last
	return nil
}

// during has every gateway read the registry as fast as it can while f runs, and counts.
func (t *Trial) during(f func() error) (reads, failed int, err error) {
	ctx, cancel := context.WithCancel(t.ctx)
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, g := range t.Gateways() {
		wg.Go(func() {
			for ctx.Err() == nil {
				r := g.Resolve(t.ctx, t.Topology.Service)
				mu.Lock()
				reads++
				if r.Err != "" {
					failed++
				}
				mu.Unlock()
				select {
				case <-ctx.Done():
				case <-time.After(time.Millisecond):
				}
			}
		})
	}
	err = f()
	cancel()
	wg.Wait()
	return reads, failed, err
}
