package balancer

import (
	"fmt"
	"slices"
	"strings"

	"ghostroute/harness/history"
	"ghostroute/harness/link"
	"ghostroute/harness/text"
)

// MaxWeight is the highest weight. LVS allows 65535; the schedule is written out, so ours is a handier one.
const MaxWeight = 1000

// validWeight says why a backend cannot have a weight.
func validWeight(name string, weight, highest int) error {
	if weight < 0 || weight > highest {
		return fmt.Errorf("the weight of %s cannot be %d: it may be 0 to %d", name, weight, highest)
	}
	return nil
}

// weights are the backends' weights in their order.
func weights(backends []Backend) []int {
	all := make([]int, len(backends))
	for i, b := range backends {
		all[i] = b.Weight
	}
	return all
}

// SetWeights gives the named proxies new weights, the others keep theirs, and begins the schedule again. Connections
// that exist stay where they are. When it returns no new one goes by the old weights. A name or weight that cannot be
// changes nothing.
func (b *Balancer) SetWeights(change map[string]int) error {
	b.turn <- struct{}{}
	defer func() { <-b.turn }()
	next := slices.Clone(b.backends)
	for name, weight := range change {
		i, err := b.backend(name)
		if err != nil {
			return err
		}
		if err := validWeight(name, weight, b.scheduler.highest()); err != nil {
			return err
		}
		next[i].Weight = weight
	}
	if err := b.scheduler.weigh(weights(next)); err != nil {
		return err
	}
	b.backends = next
	b.record(history.Conn{Op: "weights", Detail: strings.Join(text.Each(next, func(b Backend) string {
		return fmt.Sprintf("%s %d", b.Name, b.Weight)
	}), ", ")})
	return nil
}

// SetSticky turns source affinity on or off. While it is on, a client's first connection goes where the schedule says
// and its further ones to the same proxy, taking no place in the schedule, until that proxy refuses or has weight 0:
// then the schedule gives it another. HAProxy is told when it is started, and of any other change gives an error.
func (b *Balancer) SetSticky(on bool) error {
	b.turn <- struct{}{}
	defer func() { <-b.turn }()
	return b.scheduler.stick(on)
}

// Drain resets the proxy's connections and returns how many there were: when it returns, both their sides are closed.
// It keeps no new ones away; weight 0 does.
func (b *Balancer) Drain(proxy string) (int, error) {
	b.turn <- struct{}{} // so that what the history has as opened before is what is drained
	defer func() { <-b.turn }()
	i, err := b.backend(proxy)
	if err != nil {
		return 0, err
	}
	drained := b.alive(func(p *pinned) bool { return p.backend == i })
	b.record(history.Conn{Op: "drain", Proxy: proxy, Detail: fmt.Sprintf("connections closed: %d", len(drained))})
	if err := b.scheduler.drain(i); err != nil {
		return 0, err
	}
	for _, p := range drained {
		b.drop(p)
	}
	return len(drained), nil
}

// drop resets a connection on both sides.
func (b *Balancer) drop(p *pinned) {
	b.mu.Lock()
	vip := b.vips[p.client]
	b.mu.Unlock()
	local, remote := p.LocalAddr().String(), p.RemoteAddr().String()
	if vip == nil || vip.DropIf(func(c link.Conn) bool { return c.Local == local && c.Remote == remote }) == 0 {
		// The link does not have it yet, or no more: it will find it closed.
		_ = p.SetLinger(0)
		_ = p.Close()
	}
}
